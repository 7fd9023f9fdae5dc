"""An arm's own figures: mean and quantiles of each latency over all its requests, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.metrics import Array
from profiler.analysis.stats import (
    P99_MIN_REQUESTS,
    Interval,
    NotEnoughBlocks,
    clustered_mean,
    quantile_interval,
)


@dataclass(frozen=True)
class Summary:
    """Mean and quantiles of one latency, ms, over `count` requests.

    `mean_ci95` has the block as its unit, None with fewer than two. `p50_ci95` to `p99_ci95` are by order
    statistics: requests taken as independent, an end that the sample cannot bound is infinite.
    """

    mean: float
    p50: float
    p90: float
    p99: float
    count: int
    mean_ci95: Interval | None
    p50_ci95: Interval
    p90_ci95: Interval
    p99_ci95: Interval

    @property
    def p99_bounded(self) -> bool:
        """Whether there are requests enough for a claim on the p99."""
        return self.count >= P99_MIN_REQUESTS


def summarise(blocks: Sequence[Array]) -> Summary | None:
    """The figures of one latency from its values, one array a block; None without a value."""
    pooled = np.concatenate(blocks)
    if len(pooled) == 0:
        return None
    p50, p90, p99 = (quantile_interval(pooled, q) for q in (0.5, 0.9, 0.99))
    return Summary(
        mean=float(pooled.mean()),
        p50=p50.estimate,
        p90=p90.estimate,
        p99=p99.estimate,
        count=len(pooled),
        mean_ci95=_mean_interval(blocks),
        p50_ci95=p50,
        p90_ci95=p90,
        p99_ci95=p99,
    )


def _mean_interval(blocks: Sequence[Array]) -> Interval | None:
    try:
        return clustered_mean(blocks)
    except NotEnoughBlocks:
        return None
