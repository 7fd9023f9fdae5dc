"""Quantiles of requests pooled over blocks, for many weightings of the blocks at once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def pooled_quantiles(blocks: Sequence[Floats], weights: Counts, q: float) -> Floats:
    """The q-quantile of the pool in which block b stands weights[r, b] times, for each r.

    The same as `order_stats.quantile` (Hyndman & Fan 1996, type 7) of the repeated and joined blocks,
    without making them: a bisection over the sorted pool, all rows at once, counting by `searchsorted`.
    Time B * R * log(N)**2, memory N + R.

    Args:
        blocks: B arrays, each sorted, N requests in all, any unit.
        weights: shape (R, B), zero or more; every row must leave at least one request.
        q: between 0 and 1.

    Returns:
        Shape (R,), in the requests' unit.
    """
    # Timsort merges the blocks, which are in order already.
    pool = np.sort(np.concatenate(blocks), kind="stable")
    total = weights @ np.array([len(block) for block in blocks], dtype=np.int64)
    position = q * (total - 1)
    below = np.floor(position).astype(np.int64)
    low = _order_statistic(pool, blocks, weights, below)
    high = _order_statistic(pool, blocks, weights, np.minimum(below + 1, total - 1))
    quantiles: Floats = low + (position - below) * (high - low)
    return quantiles


def _order_statistic(pool: Floats, blocks: Sequence[Floats], weights: Counts, rank: Counts) -> Floats:
    """The smallest pool value with more than `rank` weighted requests at or below it, row by row."""
    low, high = np.zeros_like(rank), np.full_like(rank, len(pool) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        enough = _count_at_or_below(pool[middle], blocks, weights) > rank
        high = np.where(enough, middle, high)
        low = np.where(enough, low, np.minimum(middle + 1, high))
    return pool[low]


def _count_at_or_below(values: Floats, blocks: Sequence[Floats], weights: Counts) -> Counts:
    count = np.zeros(len(values), dtype=np.int64)
    distinct, back = np.unique(values, return_inverse=True)
    for b, block in enumerate(blocks):
        count += weights[:, b] * np.searchsorted(block, distinct, side="right")[back]
    return count
