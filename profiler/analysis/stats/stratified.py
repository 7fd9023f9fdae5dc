"""Bootstrap over prompts, each label apart: for figures of which no formula says how far they may be off."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats.interval import Interval

Floats = npt.NDArray[np.float64]
Statistics = Callable[[Floats], Floats]
RESAMPLES = 1000
# Weights held at once, and drawn in all: many prompts need fewer resamples for an end that is as sure.
_AT_ONCE = 1_000_000
_IN_ALL = 10_000_000
_FEWEST = 200


def stratified_bootstrap(
    statistics: Statistics, strata: npt.ArrayLike, *, seed: int, confidence: float = 0.95
) -> list[Interval | None]:
    """Percentile intervals of one or more statistics of n prompts (Efron & Tibshirani 1993, sections 13.3 and 8.3).

    Prompts are drawn with replacement within their stratum, so that the numbers of each label stay as they are. A
    statistic that a resample does not define is left out of its interval; None where the sample itself does not define
    it. Where every resample gives the same, as with perfect separation, they set no bound: the ends are infinite.

    Args:
        statistics: from weights, shape (resamples, n), how often each prompt was drawn, to values, shape (resamples,
            k); NaN where not defined.
        strata: shape (n,), whole numbers.
        seed: the same seed gives the same answer.
        confidence: two-sided level.

    Raises:
        ValueError: no prompt.
    """
    of = np.asarray(strata, dtype=np.int64)
    if not len(of):
        raise ValueError("need one or more prompts")
    estimates = statistics(np.ones((1, len(of))))[0]
    drawn = np.concatenate([statistics(weights) for weights in _drawn(of, seed)])
    return [_percentile(float(e), drawn[:, i], confidence) for i, e in enumerate(estimates)]


def _drawn(strata: npt.NDArray[np.int64], seed: int) -> Iterable[Floats]:
    """The weights, chunk by chunk. Arms of one run have the same prompts: what fits one chunk is drawn once."""
    if RESAMPLES * len(strata) <= _AT_ONCE:
        return _kept(strata.tobytes(), seed)
    return _weights(strata, seed)


@lru_cache(maxsize=2)
def _kept(strata: bytes, seed: int) -> tuple[Floats, ...]:
    return tuple(_weights(np.frombuffer(strata, dtype=np.int64), seed))


def _weights(strata: npt.NDArray[np.int64], seed: int) -> Iterator[Floats]:
    rng, n = np.random.default_rng(seed), len(strata)
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    left = min(RESAMPLES, max(_FEWEST, _IN_ALL // n))
    while left:
        size = min(left, max(1, _AT_ONCE // n))
        weights = np.empty((size, n))
        for group in groups:
            weights[:, group] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), size=size)
        yield weights
        left -= size


def _percentile(estimate: float, drawn: Floats, confidence: float) -> Interval | None:
    if np.isnan(estimate):
        return None
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    if np.nanmin(drawn) == np.nanmax(drawn):
        low, high = -np.inf, np.inf
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), confidence)
