"""Latency against the offered rate, by arm: of a run whose trials were offered several."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from profiler.analysis import metrics
from profiler.analysis.columns import ints
from profiler.analysis.metrics import LATENCIES, Array, trial_metrics
from profiler.analysis.stats import Interval, quantile_interval
from profiler.records.store import StoredTrial
from profiler.saturation.probe import RAMP_SHARE

COLUMNS = (*metrics.COLUMNS, "index")
"""The columns that `load_points` reads."""
QUANTILES = (0.5, 0.99)


@dataclass(frozen=True)
class LoadPoint:
    """One arm at one offered rate: a latency's quantile `q`, ms, over `requests`; an unbounded end is infinite."""

    arm: str
    rate_hz: float
    metric: str
    q: float
    ms: Interval
    requests: int


def load_points(trials: Iterable[StoredTrial]) -> tuple[LoadPoint, ...]:
    """From the trials that were offered a rate of their own; rates rise within an arm.

    The first requests of each find the engine empty and are not in it, as in a probe's share of good ones; nor are
    trials that were stopped because their backlog grew: in the long run they have no latency.
    """
    pooled: dict[tuple[str, float], list[dict[str, Array]]] = {}
    for trial in trials:
        if trial.info.rate_hz is not None and not trial.info.stopped:
            key = (trial.info.arm, trial.info.rate_hz)
            pooled.setdefault(key, []).append(trial_metrics(_steady(trial)).latency_ms)
    points = []
    for (arm, rate_hz), found in sorted(pooled.items()):
        for metric in LATENCIES:
            values = np.concatenate([latency[metric] for latency in found])
            points += [
                LoadPoint(arm, rate_hz, metric, q, quantile_interval(values, q), len(values))
                for q in QUANTILES
                if len(values)
            ]
    return tuple(points)


def _steady(trial: StoredTrial) -> StoredTrial:
    order = np.argsort(ints(trial.table, "index"))
    return replace(trial, table=trial.table.take(order[round(RAMP_SHARE * len(order)) :]))
