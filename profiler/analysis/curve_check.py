"""The queueing check: a percentile at each rate, measured, beside what a curve through all other rates predicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.analysis.load_curve import FEWEST_RATES, best_curve
from profiler.analysis.metrics import Array
from profiler.analysis.percentiles import percentile
from profiler.analysis.stats import Interval

TOLERANCE = 0.2
"""Curve and measurement part at a rate where they differ by more than this and by more than a bounded chance."""


@dataclass(frozen=True)
class CheckedRate:
    """One rate: `predicted` has not seen it; None where no curve reaches. `parts`: beyond tolerance and chance."""

    rate_hz: float
    requests: int
    measured: Interval
    predicted: float | None

    @property
    def off(self) -> float | None:
        """Predicted over measured, less 1."""
        return None if self.predicted is None else self.predicted / self.measured.estimate - 1

    @property
    def parts(self) -> bool:
        """Whether the prediction is off by more than the tolerance, and no interval with two ends holds it."""
        off, said = self.off, self.predicted
        if off is None or said is None or abs(off) <= TOLERANCE:
            return False
        return not (math.isfinite(self.measured.half_width) and self.measured.contains(said))


@dataclass(frozen=True)
class CurveCheck:
    """One percentile's. `curve` names the candidate that was best, `error` is its median; None where `why` says why."""

    curve: str | None
    error: float | None
    rates: tuple[CheckedRate, ...]
    why: str = ""

    def trusted_between(self, held_hz: float, missed_hz: float) -> bool:
        """Whether the curve was checked at both of these rates, and parts from the measurement at neither."""
        ends = [one for one in self.rates if one.rate_hz in (held_hz, missed_hz) and one.predicted is not None]
        return len(ends) == len({held_hz, missed_hz}) and not any(one.parts for one in ends)


def curve_check(probes: Mapping[float, Sequence[Array]], q: float) -> CurveCheck:
    """Check the q-quantile of latency over rates that no backlog grew at.

    Args:
        probes: by rate in requests/s, one array of latencies a probe, in the order of arrival; +inf for a failure.
        q: strictly between 0 and 1.
    """
    found = {rate: percentile(arrays, q) for rate, arrays in sorted(probes.items()) if sum(map(len, arrays))}
    found = {rate: one for rate, one in found.items() if math.isfinite(one.estimate) and one.estimate > 0}
    fitted = best_curve(list(found), [one.estimate for one in found.values()])
    left_out = (None,) * len(found) if fitted is None else fitted.left_out
    rates = tuple(
        CheckedRate(rate, sum(map(len, probes[rate])), one, said)
        for (rate, one), said in zip(found.items(), left_out, strict=True)
    )
    if fitted is None:
        why = f"{len(found)} rates without a growing backlog: a check needs {FEWEST_RATES}"
        return CurveCheck(None, None, rates, why)
    return CurveCheck(fitted.name, math.expm1(fitted.error), rates)
