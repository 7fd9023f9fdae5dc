"""The ledger as steps: each entry from where the one before it ended, up to the measured difference."""

from dataclasses import dataclass

from profiler.analysis.ledger_entries import Ledger
from profiler.analysis.stats import Interval

ENTRIES = ("direct", "induced", "waste", "saved", "residual")


@dataclass(frozen=True)
class Step:
    """One entry, ms: the bar goes from `start` to `end`; `value` is the entry itself with its interval."""

    entry: str
    start: float
    end: float
    value: Interval


def steps(ledger: Ledger) -> tuple[Step, ...]:
    """The entries one after the other, and last the measured difference from zero."""
    found, at = list[Step](), 0.0
    for entry in ENTRIES:
        value: Interval = getattr(ledger, entry)
        found.append(Step(entry, at, at + value.estimate, value))
        at += value.estimate
    return (*found, Step("measured", 0.0, ledger.measured.estimate, ledger.measured))
