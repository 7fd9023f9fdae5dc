"""Statistics of the tax: pure functions over arrays; the block is the unit of replication."""

from profiler.analysis.stats.autocorrelation import autocorrelation_time, effective_proportion
from profiler.analysis.stats.bootstrap import quantile_difference, quantile_estimate
from profiler.analysis.stats.calibration import coverage, proportion, root_mean_square_error
from profiler.analysis.stats.clustered import clustered_estimate, clustered_mean
from profiler.analysis.stats.effect import Claim, minimum_detectable_effect, noise_floor, verdict
from profiler.analysis.stats.interval import Interval
from profiler.analysis.stats.multiplicity import HolmResult, holm
from profiler.analysis.stats.order_stats import (
    P99_MIN_REQUESTS,
    min_n_for_quantile,
    quantile,
    quantile_interval,
)
from profiler.analysis.stats.paired import mean_difference, mean_ratio, paired_difference, paired_log_ratio
from profiler.analysis.stats.ranking import Ranking, average_precision
from profiler.analysis.stats.sequential import Look, SequentialRule
from profiler.analysis.stats.shapley import MissingCoalition, interaction, shapley
from profiler.analysis.stats.shares import share_difference, share_interval, share_of
from profiler.analysis.stats.stratified import stratified_bootstrap
from profiler.analysis.stats.t_estimate import NotEnoughBlocks, TEstimate
from profiler.analysis.stats.unpaired import (
    independent_difference,
    log_mean_of_blocks,
    mean_of_blocks,
    quantile_of_blocks,
    welch_difference,
)

__all__ = [
    "P99_MIN_REQUESTS",
    "Claim",
    "HolmResult",
    "Interval",
    "Look",
    "MissingCoalition",
    "NotEnoughBlocks",
    "Ranking",
    "SequentialRule",
    "TEstimate",
    "autocorrelation_time",
    "average_precision",
    "clustered_estimate",
    "clustered_mean",
    "coverage",
    "effective_proportion",
    "holm",
    "independent_difference",
    "interaction",
    "log_mean_of_blocks",
    "mean_difference",
    "mean_of_blocks",
    "mean_ratio",
    "min_n_for_quantile",
    "minimum_detectable_effect",
    "noise_floor",
    "paired_difference",
    "paired_log_ratio",
    "proportion",
    "quantile",
    "quantile_difference",
    "quantile_estimate",
    "quantile_interval",
    "quantile_of_blocks",
    "root_mean_square_error",
    "shapley",
    "share_difference",
    "share_interval",
    "share_of",
    "stratified_bootstrap",
    "verdict",
    "welch_difference",
]
