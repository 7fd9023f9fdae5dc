"""The distribution of each latency by arm: exact quantiles at a few hundred shares, whatever the number of requests."""

from dataclasses import dataclass

import numpy as np

from profiler.analysis.metrics import LATENCIES, Array
from profiler.analysis.run_figures import steady_trials
from profiler.analysis.tax import RunResult

MARKED = (0.5, 0.9, 0.99)
_SHARES = np.unique(np.concatenate([np.linspace(0, 1, 201), [0.975, 0.99, 0.995, 0.999]]))


@dataclass(frozen=True)
class Curve:
    """One latency of one arm: `ms` (shares,) is below which `share` (shares,) of its `count` requests lie."""

    arm: str
    metric: str
    share: Array
    ms: Array
    count: int


def curves(result: RunResult) -> tuple[Curve, ...]:
    """Every latency of every arm over the steady part; none where no answer has it.

    Quantiles as everywhere (Hyndman & Fan 1996, type 7), those of `MARKED` among them.
    """
    found = [_curve(arm, metric, result) for metric in LATENCIES for arm in result.arms]
    return tuple(curve for curve in found if curve is not None)


def _curve(arm: str, metric: str, result: RunResult) -> Curve | None:
    values = np.concatenate([trial.latency_ms[metric] for trial in steady_trials(result, arm)])
    if not len(values):
        return None
    return Curve(arm, metric, _SHARES, np.quantile(np.sort(values), _SHARES), len(values))
