"""Capacity: the highest rate at which the objectives hold, from probes that may contradict each other."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats import Interval

Floats = npt.NDArray[np.float64]


class Held(StrEnum):
    """Whether the objectives held at a rate."""

    YES = "held"
    NO = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class RateResult:
    """All probes of an arm at one rate. `share` is of good requests; its `weight` is their number."""

    rate_hz: float
    share: Interval
    weight: int
    held: Held


@dataclass(frozen=True, slots=True)
class Capacity:
    """An arm's capacity in requests/s. `low` and `high` are 0 and +inf where no probe was clear.

    `estimate_hz` is None where it was not measured, and `why` says why.
    """

    estimate_hz: float | None
    low_hz: float
    high_hz: float
    why: str = ""


def decided(share: Interval, required: float) -> Held:
    """Held or missed where the interval leaves no doubt, else undecided."""
    if share.low > required:
        return Held.YES
    return Held.NO if share.high < required else Held.UNDECIDED


def non_increasing(values: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """The weighted least-squares fit that never rises: pool adjacent violators.

    Ayer, Brunk, Ewing, Reid & Silverman 1955; Barlow, Bartholomew, Bremner & Brunk 1972, section 1.2.

    Args:
        values: shape (n,), any unit.
        weights: shape (n,), positive.

    Raises:
        ValueError: shapes differ, or a weight is not positive.
    """
    y, w = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if y.shape != w.shape or y.ndim != 1 or not (w > 0).all():
        raise ValueError("need as many positive weights as values")
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(y.tolist(), w.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] < pool[0]:
            mean, mass, count = pools.pop()
            total = mass + pool[1]
            pool = ((mean * mass + pool[0] * pool[1]) / total, total, count + pool[2])
        pools.append(pool)
    return np.repeat([mean for mean, _, _ in pools], [count for _, _, count in pools]).astype(np.float64)


def bracket(results: Iterable[RateResult], required: float) -> tuple[float | None, float | None]:
    """The highest rate that holds and the lowest that does not, by the monotone fit; None where there is none."""
    rates, fitted = _fit(results)
    held, missed = rates[fitted >= required], rates[fitted < required]
    return (float(held[-1]) if len(held) else None, float(missed[0]) if len(missed) else None)


def capacity(results: Sequence[RateResult], required: float) -> Capacity:
    """Where the monotone fit crosses the required share, and the rates between which that surely is.

    Between the two rates of the bracket the fit is taken to be straight over the logarithm of the rate.
    `low_hz` is the highest rate below every clear miss at which the objectives clearly held, `high_hz` the
    lowest above every clear hold at which they were clearly missed (each by the 95 % interval of its share):
    probes that contradict each other widen the interval.
    """
    held, missed = bracket(results, required)
    if held is None:
        lowest = min((r.rate_hz for r in results), default=math.nan)
        return Capacity(None, 0.0, math.inf, f"the SLO is not met even at {lowest:.3g} requests/s")
    if missed is None:
        return Capacity(None, held, math.inf, f"the SLO still holds at {held:.3g} requests/s, the highest rate tried")
    rates, fitted = _fit(results)
    above, below = float(fitted[rates == held][0]), float(fitted[rates == missed][0])
    part = (above - required) / (above - below)
    low, high = clear_bounds(results)
    estimate = held * (missed / held) ** part
    return Capacity(estimate, min(low, estimate), max(high, estimate))


def clear_bounds(results: Iterable[RateResult]) -> tuple[float, float]:
    """The highest clear hold below every clear miss, and the lowest clear miss above every clear hold."""
    known = list(results)
    holds = [r.rate_hz for r in known if r.held is Held.YES]
    misses = [r.rate_hz for r in known if r.held is Held.NO]
    low = max((rate for rate in holds if rate < min(misses, default=math.inf)), default=0.0)
    high = min((rate for rate in misses if rate > max(holds, default=0.0)), default=math.inf)
    return low, high


def capacity_tax(arm: Capacity, baseline: Capacity) -> Interval | None:
    """1 - arm / baseline, a share; None where either was not measured.

    Its ends take each capacity at the worse end of its interval, so it is wider than an interval need be
    (Bonferroni's way of combining two). They are -inf and 1 where a capacity is not bounded.
    """
    if arm.estimate_hz is None or baseline.estimate_hz is None:
        return None
    least = 1 - arm.high_hz / baseline.low_hz if baseline.low_hz > 0 else -math.inf
    most = 1 - arm.low_hz / baseline.high_hz
    return Interval(1 - arm.estimate_hz / baseline.estimate_hz, least, most, 0.95)


def _fit(results: Iterable[RateResult]) -> tuple[Floats, Floats]:
    """Rates, rising, and the fitted shares."""
    ordered = sorted(results, key=lambda r: r.rate_hz)
    rates = np.array([r.rate_hz for r in ordered], dtype=np.float64)
    if not len(rates):
        return rates, rates
    return rates, non_increasing([r.share.estimate for r in ordered], [float(r.weight) for r in ordered])
