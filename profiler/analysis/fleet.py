"""How many replicas a rate takes, and what they cost, each with the interval that the capacity's draws give it."""

import math

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats import Interval

Floats = npt.NDArray[np.float64]
SPARE_REPLICAS = 1
"""N + 1: one may fail, or be replaced, and the rest still keep the objectives."""
HOURS_A_DAY, HOURS_A_MONTH = 24.0, 730.5
# A rate that a replica just serves is not to take another one for the sake of a rounding error.
_EXACT = 1e-9


def replicas(capacity_hz: npt.ArrayLike, rate_hz: npt.ArrayLike, headroom: float) -> Floats:
    """N + 1 replicas for a rate, split evenly, `headroom` of each one's capacity left free; +inf for a capacity of 0.

    Shapes broadcast; both in requests/s.

    Raises:
        ValueError: a headroom outside [0, 1).
    """
    if not 0 <= headroom < 1:
        raise ValueError(f"headroom must be at least 0 and below 1, not {headroom}")
    capacity, rate = np.asarray(capacity_hz, dtype=np.float64), np.asarray(rate_hz, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.ceil(rate / (capacity * (1 - headroom)) - _EXACT)
    needed = np.where(capacity == 0, np.inf, np.maximum(needed, np.where(rate > 0, 1.0, 0.0)))
    return np.asarray(needed + SPARE_REPLICAS, dtype=np.float64)


def whole(estimate: float, draws: Floats) -> Interval:
    """An estimate in whole things with the 2.5 and 97.5 percentiles of its draws, each one of them; ends may be inf.

    A difference of two that are inf is no number: such a draw bounds neither end, so it counts as both.
    """
    low, high = (np.sort(np.where(np.isnan(draws), end, draws)) for end in (-np.inf, np.inf))
    n = len(draws)
    ends = float(low[math.floor(0.025 * (n - 1))]), float(high[math.ceil(0.975 * (n - 1))])
    return Interval(estimate, min(ends[0], estimate), max(ends[1], estimate), 0.95)


def difference(mine: Floats, baseline: Floats) -> Floats:
    """Draw by draw; NaN where both are infinite."""
    with np.errstate(invalid="ignore"):
        return np.asarray(mine - baseline, dtype=np.float64)


def scaled(one: Interval, by: float) -> Interval:
    """An interval in another unit; `by` is above 0."""
    return Interval(one.estimate * by, one.low * by, one.high * by, one.confidence)
