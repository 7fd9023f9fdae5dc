"""Quantiles of requests pooled over blocks, for many weightings of the blocks at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
# Requests between two rows of the table of counts: so many are looked at one by one.
_STRIDE = 16


def pooled_quantiles(blocks: Sequence[Floats], weights: Counts, q: float) -> Floats:
    """The q-quantile of the pool in which block b stands weights[r, b] times, for each r.

    The same as `order_stats.quantile` (Hyndman & Fan 1996, type 7) of the repeated and joined blocks,
    without making them: how many requests of each block the sorted pool begins with is counted every 16 requests, a
    bisection finds the 16, and a cumulative sum over them the one. Time B * R * log(N), memory B * N / 16 + 16 * R.

    Args:
        blocks: B arrays, each sorted, N requests in all, any unit.
        weights: shape (R, B), zero or more; every row must leave at least one request.
        q: between 0 and 1.

    Returns:
        Shape (R,), in the requests' unit.
    """
    total = weights @ np.array([len(block) for block in blocks], dtype=np.int64)
    position = q * (total - 1)
    below = np.floor(position).astype(np.int64)
    pool = _Pool.of(blocks)
    low = pool.order_statistic(weights, below)
    high = pool.order_statistic(weights, np.minimum(below + 1, total - 1))
    quantiles: Floats = low + (position - below) * (high - low)
    return quantiles


@dataclass(frozen=True)
class _Pool:
    """All requests in order: `values` (N,), their blocks `origin` (N,), and `counts` (rows, B) before each 16th."""

    values: Floats
    origin: npt.NDArray[np.int32]
    counts: Counts

    @classmethod
    def of(cls, blocks: Sequence[Floats]) -> "_Pool":
        joined = np.concatenate(blocks)
        # Timsort merges the blocks, which are in order already.
        order = np.argsort(joined, kind="stable")
        origin = np.repeat(np.arange(len(blocks), dtype=np.int32), [len(block) for block in blocks])[order]
        rows = -(-len(origin) // _STRIDE)
        cells = np.arange(len(origin)) // _STRIDE * len(blocks) + origin
        within = np.bincount(cells, minlength=rows * len(blocks)).reshape(rows, len(blocks))
        return cls(joined[order], origin, np.cumsum(within, axis=0) - within)

    def order_statistic(self, weights: Counts, rank: Counts) -> Floats:
        """The value of the first request with which more than `rank` weighted ones have been met, row by row."""
        row = self._row(weights, rank)
        at = np.minimum(row[:, None] * _STRIDE + np.arange(_STRIDE), len(self.values) - 1)
        met = np.cumsum(np.take_along_axis(weights, self.origin[at], axis=1), axis=1)
        met += self._before(weights, row)[:, None]
        first = np.argmax(met > rank[:, None], axis=1)
        found: Floats = self.values[row * _STRIDE + first]
        return found

    def _row(self, weights: Counts, rank: Counts) -> Counts:
        """The last row of counts with at most `rank` weighted requests before it."""
        low, high = np.zeros_like(rank), np.full_like(rank, len(self.counts) - 1)
        while (low < high).any():
            middle = (low + high + 1) // 2
            fits = self._before(weights, middle) <= rank
            low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
        return low

    def _before(self, weights: Counts, row: Counts) -> Counts:
        before: Counts = np.einsum("rb,rb->r", weights, self.counts[row])
        return before
