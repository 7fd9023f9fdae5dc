"""How many independent values a series of correlated ones is worth, and the interval of a share over so many."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats.calibration import clopper_pearson
from profiler.analysis.stats.interval import Interval

Floats = npt.NDArray[np.float64]


def autocorrelation_time(series: Sequence[npt.ArrayLike]) -> float:
    """1 + 2 * the sum of autocorrelations: so many correlated values tell of their mean what one independent one does.

    Summed over Geyer's initial positive sequence (1992, section 3.3): pairs of neighbouring lags while above 0.
    Several series are of one process, each by itself; about the mean of all. At least 1.

    Args:
        series: one array of shape (n,) each, in the order of time.
    """
    known = [np.asarray(one, dtype=np.float64) for one in series if len(np.asarray(one)) > 1]
    if not known:
        return 1.0
    mean = np.concatenate(known).mean()
    longest = max(map(len, known))
    products = np.zeros(longest)
    for one in known:
        size = 1 << (2 * len(one) - 1).bit_length()
        spectrum = np.fft.rfft(one - mean, size)
        products[: len(one)] += np.fft.irfft(spectrum * spectrum.conj(), size)[: len(one)]
    if products[0] <= 1e-9 * sum(map(len, known)):
        return 1.0
    rho = products / products[0]
    pairs = rho[: 2 * (longest // 2)].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    positive = pairs[: int(ends[0])] if len(ends) else pairs
    return max(1.0, float(2 * positive.sum() - 1))


def effective_proportion(share: float, n: float, confidence: float = 0.95) -> Interval:
    """A share over `n` values' worth, which need not be whole: Clopper & Pearson's interval after Korn & Graubard 1998.

    Raises:
        ValueError: a share outside 0 to 1, or no value.
    """
    if not 0 <= share <= 1 or n <= 0:
        raise ValueError(f"need a share of something, not {share} of {n}")
    low, high = clopper_pearson(share * n, n, confidence)
    return Interval(share, min(low, share), max(high, share), confidence)
