"""Quantiles, and what the order statistics alone say about them, whatever the distribution."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats.distributions import binomial_quantile
from profiler.analysis.stats.interval import Interval


def quantile(x: npt.ArrayLike, q: float) -> float:
    """The q-quantile by linear interpolation between order statistics: the one definition used everywhere.

    Hyndman & Fan 1996, type 7; numpy's default, and so vLLM bench's `np.percentile`.

    Args:
        x: shape (n,), any unit; the answer has the same.
        q: between 0 and 1, both allowed.

    Raises:
        ValueError: x empty, not one-dimensional or with a NaN, or q outside 0 to 1.
    """
    return float(np.quantile(_checked(x, q), q))


def quantile_interval(x: npt.ArrayLike, q: float, confidence: float = 0.95) -> Interval:
    """The q-quantile with a distribution-free interval between two order statistics.

    David & Nagaraja 2003, section 7.1: of n independent values the number at or below the quantile is
    binomial(n, q). The ends cut at most (1 - confidence) / 2 off each tail, so the coverage is at least
    `confidence`; where no order statistic does that, the end is -inf or +inf. The values must be
    independent: requests of one drifting machine are not quite, and this interval knows nothing of blocks.

    Args:
        x: shape (n,), any unit.
        q: strictly between 0 and 1.
        confidence: two-sided level.

    Raises:
        ValueError: as for `quantile`, q of 0 or 1, or confidence not strictly between 0 and 1.
    """
    values = _checked(x, q)
    _check_open(q=q, confidence=confidence)
    tail, n = (1 - confidence) / 2, len(values)
    # In 1-based ranks: P(B < low) < tail and P(B >= high) <= tail.
    low = binomial_quantile(tail, n, q)
    high = binomial_quantile(1 - tail, n, q) + 1
    ranks = [rank - 1 for rank in (low, high) if 1 <= rank <= n]
    ordered = np.partition(values, ranks) if ranks else values
    estimate = quantile(values, q)
    # Of very few values the largest may surely lie below the quantile, and the interpolated one lower still.
    return Interval(
        estimate=estimate,
        low=min(estimate, float(ordered[low - 1])) if low >= 1 else -math.inf,
        high=max(estimate, float(ordered[high - 1])) if high <= n else math.inf,
        confidence=confidence,
    )


def min_n_for_quantile(q: float, confidence: float = 0.95, *, sides: Literal[1, 2] = 2) -> int:
    """The fewest values whose smallest and largest bound the q-quantile.

    n values all lie below the quantile with probability q^n, all above with (1 - q)^n (Wilks 1941; David &
    Nagaraja 2003, section 7.1). `sides=2` asks each to be at most (1 - confidence) / 2, which is when
    `quantile_interval` has two finite ends. `sides=1` asks for the rarer tail alone to be bounded, with
    1 - confidence. For q = 0.99: 299 one-sided and 368 two-sided at 95 %, 459 one-sided at 99 %.

    Raises:
        ValueError: q or confidence not strictly between 0 and 1.
    """
    _check_open(q=q, confidence=confidence)
    tail = (1 - confidence) / sides
    common = max(q, 1 - q)
    n = max(1, math.ceil(math.log(tail) / math.log(common)))
    # The quotient of two rounded logarithms can land on the wrong side of an integer.
    while n > 1 and common ** (n - 1) <= tail:
        n -= 1
    while common**n > tail:
        n += 1
    return n


def _checked(x: npt.ArrayLike, q: float) -> npt.NDArray[np.float64]:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"need one or more values in one dimension, not shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError("a NaN has no rank: leave unmeasured requests out first")
    if not 0 <= q <= 1:
        raise ValueError(f"q must be between 0 and 1, not {q}")
    return values


def _check_open(**named: float) -> None:
    for name, value in named.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} must be strictly between 0 and 1, not {value}")


P99_MIN_REQUESTS = min_n_for_quantile(0.99, confidence=0.99, sides=1)
"""459: Wilks's 99/99 number, the fewest requests whose slowest is above the p99 with 99 % confidence.

A 95 % interval needs less, 299 one-sided and 368 two-sided (`min_n_for_quantile`). The house rule is the
stricter one on purpose: a tax takes two such quantiles, both must be bounded, and 459 leaves each a 1 %
chance of not being, rather than 5 %.
"""
