"""The tax on a quantile: cluster bootstrap over paired blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats.interval import Interval
from profiler.analysis.stats.pooled import Floats, pooled_quantiles
from profiler.analysis.stats.t_estimate import NotEnoughBlocks, TEstimate


@dataclass(frozen=True, slots=True)
class QuantilePair:
    """Arm against baseline: difference of the quantiles in their unit, and ln of their ratio."""

    absolute: TEstimate
    log_ratio: TEstimate | None


def quantile_difference(
    baseline: Sequence[npt.ArrayLike],
    arm: Sequence[npt.ArrayLike],
    q: float,
    *,
    resamples: int = 2000,
    seed: int,
    relative: bool = False,
    confidence: float = 0.95,
) -> Interval:
    """The arm's q-quantile less the baseline's, with its interval; relative change if `relative`.

    The interval is estimate -+ t * bootstrap standard error. Coverage of the relative one in %, nominal 95,
    at p50 / p90 / p99, and its width in percentile intervals, against the other ways (tax 5 %, AR(1) drift
    of 11 %, lognormal requests, 20 to 500 a block, 6 set-ups of 500 runs a row; p99 from 459 requests):

        blocks  this, width             percentile        expanded, width         delete-one-block jackknife
             6  95.2/95.6/96.2, 1.47    87.5/87.6/89.2    94.3/94.9/96.2, 1.35    94.4/94.1/94.3, 1.49
            10  95.5/95.1/95.8, 1.23    90.9/91.2/92.6    95.1/95.5/96.2, 1.20    94.6/94.3/93.8, 1.26
            15  95.2/95.3/95.5, 1.14    93.2/92.5/93.1    95.6/95.1/96.2, 1.13    95.1/94.0/94.0, 1.19
            30  94.8/95.1/95.3, 1.07    93.2/93.9/95.0    94.8/95.4/96.3, 1.06    94.2/94.9/92.3, 1.12

    A single set-up covers 93.4 to 97.2 % (absolute: 93.2 to 98.2 %), where 500 runs are good to 2 points;
    the jackknife falls to 88.8 % for a p99 of 600 requests. "Expanded" is Hesterberg's (2015), as good;
    this one also has a standard error and degrees of freedom, which `holm` and
    `minimum_detectable_effect` need.

    Shapes, units, source and errors as for `quantile_estimate`.
    """
    estimate = quantile_estimate(baseline, arm, q, resamples=resamples, seed=seed, relative=relative)
    return estimate.relative_interval(confidence) if relative else estimate.interval(confidence)


def quantile_estimate(
    baseline: Sequence[npt.ArrayLike],
    arm: Sequence[npt.ArrayLike],
    q: float,
    *,
    resamples: int = 2000,
    seed: int,
    relative: bool = False,
) -> TEstimate:
    """Difference of the quantiles of the pooled requests, with its bootstrap standard error.

    A difference of quantiles, never a quantile of differences. Whole blocks are drawn with replacement,
    the same ones for both arms, so that drift common to a block cancels (Davison & Hinkley 1997, section
    3.8; Field & Welsh 2007, the cluster bootstrap). The standard deviation over resamples is too small by
    sqrt((B - 1) / B) for B blocks and is scaled up (Hesterberg 2015, narrowness bias); t with
    B - 1 degrees of freedom. A block in which either arm has no request is left out.

    Args:
        baseline: B arrays, one a block, shape (n_b,), any unit.
        arm: B arrays, the same blocks in the same order and unit; sizes may differ.
        q: strictly between 0 and 1.
        resamples: bootstrap draws.
        seed: of the draws; the same seed gives the same answer.
        relative: estimate ln(arm quantile / baseline quantile) instead; the quantiles must be positive.

    Raises:
        NotEnoughBlocks: fewer than two blocks with requests in both arms.
        ValueError: numbers of blocks differ, q or resamples out of range, a value is not finite, or
            `relative` with a quantile that is not positive.
    """
    pair = quantile_estimates(baseline, arm, q, resamples=resamples, seed=seed)
    if not relative:
        return pair.absolute
    if pair.log_ratio is None:
        raise ValueError("a relative difference needs positive quantiles")
    return pair.log_ratio


def quantile_estimates(
    baseline: Sequence[npt.ArrayLike],
    arm: Sequence[npt.ArrayLike],
    q: float,
    *,
    resamples: int = 2000,
    seed: int,
) -> QuantilePair:
    """Both scales of `quantile_estimate` from one set of draws; `log_ratio` is None where it is not defined.

    Shapes, units, source and errors as for `quantile_estimate`.
    """
    if not 0 < q < 1 or resamples < 2:
        raise ValueError(f"need 0 < q < 1 and two or more resamples, not {q} and {resamples}")
    before, after = _sorted_pairs(baseline, arm)
    n = len(before)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights = np.vstack([np.ones((1, n), dtype=np.int64), drawn])
    base_quantiles, arm_quantiles = (pooled_quantiles(blocks, weights, q) for blocks in (before, after))
    absolute = _of_resamples(arm_quantiles - base_quantiles, n)
    if min(base_quantiles.min(), arm_quantiles.min()) <= 0:
        return QuantilePair(absolute, None)
    return QuantilePair(absolute, _of_resamples(np.log(arm_quantiles) - np.log(base_quantiles), n))


def _of_resamples(differences: Floats, blocks: int) -> TEstimate:
    """The first is the estimate, the others are its resamples."""
    spread = differences[1:].std(ddof=1) * np.sqrt(blocks / (blocks - 1))
    return TEstimate(float(differences[0]), float(spread), blocks - 1)


def _sorted_pairs(baseline: Sequence[npt.ArrayLike], arm: Sequence[npt.ArrayLike]) -> tuple[list[Floats], list[Floats]]:
    if len(baseline) != len(arm):
        raise ValueError(f"blocks must pair one to one: {len(baseline)} and {len(arm)}")
    pairs = [(_sorted(b), _sorted(a)) for b, a in zip(baseline, arm, strict=True)]
    pairs = [(b, a) for b, a in pairs if len(b) and len(a)]
    if len(pairs) < 2:
        raise NotEnoughBlocks(f"{len(pairs)} block(s) with requests: an interval needs two or more")
    return [b for b, _ in pairs], [a for _, a in pairs]


def _sorted(block: npt.ArrayLike) -> Floats:
    values: Floats = np.asarray(block, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError("requests must be finite numbers")
    in_order = bool((values[1:] >= values[:-1]).all())
    return values if in_order else np.sort(values)
