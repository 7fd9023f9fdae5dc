"""What a control says of the instrument: injected, recovered, and whether the interval holds the truth."""

from dataclasses import dataclass

from profiler.analysis.stats import Interval


@dataclass(frozen=True)
class Statement:
    """One figure of one control, in `unit` ("ms" or "tokens"), with its 95 % interval.

    `metric` is "ttft_ms" or "e2el_ms", empty for a count. `injected` is None where nothing but the
    instrument itself knows the truth; `note` says why.
    """

    control: str
    entry: str
    metric: str
    injected: float | None
    recovered: Interval
    unit: str = "ms"
    note: str = ""

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds what was injected; None where that is not known."""
        return None if self.injected is None else bool(self.recovered.contains(self.injected))

    @property
    def key(self) -> tuple[str, str, str]:
        """Control, entry, metric: what repeats are pooled by."""
        return self.control, self.entry, self.metric


def counted(value: float) -> Interval:
    """A count, which has no spread."""
    return Interval(value, value, value, 0.95)
