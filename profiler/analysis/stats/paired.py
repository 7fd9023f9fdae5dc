"""The tax on a mean: paired blocks, Student's t."""

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats.interval import Interval
from profiler.analysis.stats.t_estimate import NotEnoughBlocks, TEstimate


def paired_log_ratio(baseline_blocks: npt.ArrayLike, arm_blocks: npt.ArrayLike) -> TEstimate:
    """The mean of ln(arm / baseline) over blocks, with its standard error.

    Student 1908 (t of paired differences), on logarithms since drift multiplies and a tax is a ratio
    (Kalibera & Jones 2013): a block on a machine 10 % slower counts as much as any other.

    Args:
        baseline_blocks: shape (n,), one positive figure a block (a mean, a rate), any unit.
        arm_blocks: shape (n,), the same blocks in the same order and unit.

    Raises:
        NotEnoughBlocks: n < 2.
        ValueError: shapes differ, or a value is not positive and finite.
    """
    baseline, arm = _paired(baseline_blocks, arm_blocks)
    if (baseline <= 0).any() or (arm <= 0).any():
        raise ValueError("a ratio needs positive blocks")
    return _of_differences(np.log(arm) - np.log(baseline))


def paired_difference(baseline_blocks: npt.ArrayLike, arm_blocks: npt.ArrayLike) -> TEstimate:
    """The mean of arm - baseline over blocks, with its standard error, in the blocks' unit.

    Student 1908 (t of paired differences). Shapes and errors as for `paired_log_ratio`; any sign is allowed.
    """
    baseline, arm = _paired(baseline_blocks, arm_blocks)
    return _of_differences(arm - baseline)


def mean_ratio(baseline_blocks: npt.ArrayLike, arm_blocks: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """Relative change of a mean, 0.05 for +5 %: `paired_log_ratio` transformed back.

    The centre is the geometric mean of the blocks' ratios. Shapes, source, errors: as `paired_log_ratio`.
    """
    return paired_log_ratio(baseline_blocks, arm_blocks).relative_interval(confidence)


def mean_difference(baseline_blocks: npt.ArrayLike, arm_blocks: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """Absolute change of a mean, in the blocks' unit. Shapes, source, errors: as `paired_difference`."""
    return paired_difference(baseline_blocks, arm_blocks).interval(confidence)


def _paired(
    baseline_blocks: npt.ArrayLike, arm_blocks: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    baseline = np.asarray(baseline_blocks, dtype=np.float64)
    arm = np.asarray(arm_blocks, dtype=np.float64)
    if baseline.ndim != 1 or baseline.shape != arm.shape:
        raise ValueError(f"blocks must pair one to one: shapes {baseline.shape} and {arm.shape}")
    if len(baseline) < 2:
        raise NotEnoughBlocks(f"{len(baseline)} block(s): an interval needs two or more")
    if not (np.isfinite(baseline).all() and np.isfinite(arm).all()):
        raise ValueError("blocks must be finite numbers")
    return baseline, arm


def _of_differences(d: npt.NDArray[np.float64]) -> TEstimate:
    n = len(d)
    return TEstimate(float(d.mean()), float(d.std(ddof=1) / np.sqrt(n)), n - 1)
