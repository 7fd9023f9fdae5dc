"""How well an instrument does over many repeats with a known truth."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats.interval import Interval


def proportion(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """The share of repeats that hit (0.95 for 95 %), with its exact interval: Clopper & Pearson 1934.

    For coverage, false positives and power, each a count of n independent repeats.

    Raises:
        ValueError: not 0 <= hits <= n with n >= 1, or confidence not strictly between 0 and 1.
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"need 0 <= hits <= n and n >= 1, not {hits} of {n}")
    return Interval(hits / n, *clopper_pearson(hits, n, confidence), confidence)


def clopper_pearson(hits: float, n: float, confidence: float) -> tuple[float, float]:
    """The ends of the exact interval of a share; by the beta distribution the counts need not be whole."""
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(special.betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def coverage(intervals: Sequence[Interval], truth: float, confidence: float = 0.95) -> Interval:
    """The share of intervals that contain the truth, with its own exact interval (as `proportion`).

    Raises:
        ValueError: no intervals.
    """
    return proportion(sum(i.contains(truth) for i in intervals), len(intervals), confidence)


def root_mean_square_error(estimates: npt.ArrayLike, truth: float) -> float:
    """sqrt(mean((estimate - truth)^2)), in the estimates' unit: bias and spread together.

    Gauss 1821 (the mean error to be feared). `estimates` has shape (n,).

    Raises:
        ValueError: no estimates, or not finite.
    """
    values = np.asarray(estimates, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError("need one or more finite estimates")
    return float(np.sqrt(np.mean((values - truth) ** 2)))
