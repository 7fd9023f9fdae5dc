"""One run's own figures over its blocks, and the difference of two runs whose blocks do not pair."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats.bootstrap import QuantilePair
from profiler.analysis.stats.interval import Interval
from profiler.analysis.stats.pooled import pooled_quantiles
from profiler.analysis.stats.t_estimate import NotEnoughBlocks, TEstimate


def mean_of_blocks(values: npt.ArrayLike) -> TEstimate:
    """The mean over blocks with its standard error, in the values' unit; Student 1908.

    Args:
        values: shape (blocks,), one figure a block.

    Raises:
        NotEnoughBlocks: fewer than two.
        ValueError: a value is not finite.
    """
    found = np.asarray(values, dtype=np.float64).ravel()
    if len(found) < 2:
        raise NotEnoughBlocks(f"{len(found)} block(s): an interval needs two or more")
    if not np.isfinite(found).all():
        raise ValueError("blocks must be finite numbers")
    return TEstimate(float(found.mean()), float(found.std(ddof=1) / math.sqrt(len(found))), len(found) - 1)


def log_mean_of_blocks(values: npt.ArrayLike) -> TEstimate:
    """The same of the logarithms, as machines drift in ratios: two runs' difference is the log of a ratio.

    Raises:
        NotEnoughBlocks: fewer than two.
        ValueError: a value is not positive and finite.
    """
    found = np.asarray(values, dtype=np.float64)
    if (found <= 0).any():
        raise ValueError("a ratio needs positive blocks")
    return mean_of_blocks(np.log(found))


def quantile_of_blocks(blocks: Sequence[npt.ArrayLike], q: float, *, resamples: int = 2000, seed: int) -> QuantilePair:
    """The q-quantile of the pooled requests and its logarithm, by the cluster bootstrap over whole blocks.

    Source and correction for narrowness as `bootstrap.quantile_estimate`, of one sample. `log_ratio` is of the quantile
    itself, None where it is not positive.

    Args:
        blocks: one array of shape (n_b,) a block, any unit; those without a request are left out.
        q: strictly between 0 and 1.
        resamples: bootstrap draws.
        seed: of the draws.

    Raises:
        NotEnoughBlocks: fewer than two blocks with a request.
        ValueError: q or resamples out of range, or a value that is not finite.
    """
    if not 0 < q < 1 or resamples < 2:
        raise ValueError(f"need 0 < q < 1 and two or more resamples, not {q} and {resamples}")
    ordered = [np.sort(np.asarray(block, dtype=np.float64).ravel()) for block in blocks]
    ordered = [block for block in ordered if len(block)]
    n = len(ordered)
    if n < 2:
        raise NotEnoughBlocks(f"{n} block(s) with requests: an interval needs two or more")
    if not all(np.isfinite(block).all() for block in ordered):
        raise ValueError("requests must be finite numbers")
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    found = pooled_quantiles(ordered, np.vstack([np.ones((1, n), dtype=np.int64), drawn]), q)
    return QuantilePair(_of_resamples(found, n), _of_resamples(np.log(found), n) if found.min() > 0 else None)


def _of_resamples(found: npt.NDArray[np.float64], blocks: int) -> TEstimate:
    spread = found[1:].std(ddof=1) * math.sqrt(blocks / (blocks - 1))
    return TEstimate(float(found[0]), float(spread), blocks - 1)


def welch_difference(before: TEstimate, after: TEstimate) -> TEstimate:
    """`after` less `before`, two independent estimates in one unit.

    Welch 1947: the variances add up, the degrees of freedom by Satterthwaite 1946. Of logarithms it is a log ratio.
    """
    first, second = before.standard_error**2, after.standard_error**2
    both = first + second
    df = before.df + after.df
    if both > 0:
        # As shares of their sum: the squares of tiny variances would vanish.
        df = 1 / ((first / both) ** 2 / before.df + (second / both) ** 2 / after.df)
    return TEstimate(after.estimate - before.estimate, math.sqrt(both), df)


def independent_difference(before: Interval, after: Interval) -> Interval:
    """`after` less `before` from the intervals of two independent figures, such as shares of prompts.

    Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10; Zou & Donner
    2008 for other figures (MOVER): the distances to the ends are added as squares.

    Raises:
        ValueError: the intervals are not of one confidence.
    """
    if before.confidence != after.confidence:
        raise ValueError(f"intervals of {before.confidence:g} and {after.confidence:g} cannot be put together")
    found = after.estimate - before.estimate
    down = math.hypot(after.estimate - after.low, before.high - before.estimate)
    up = math.hypot(after.high - after.estimate, before.estimate - before.low)
    return Interval(found, found - down, found + up, before.confidence)
