"""Latency against the offered rate, by arm: of a run whose trials were offered several."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from profiler.analysis.metrics import COLUMNS as COLUMNS
from profiler.analysis.metrics import LATENCIES, trial_metrics
from profiler.analysis.stats import Interval, quantile_interval
from profiler.records.store import StoredTrial

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
    """From the trials that were offered a rate of their own; only `COLUMNS` are read. Rates rise within an arm."""
    pooled: dict[tuple[str, float], list[dict[str, np.ndarray]]] = {}
    for trial in trials:
        if trial.info.rate_hz is not None:
            key = (trial.info.arm, trial.info.rate_hz)
            pooled.setdefault(key, []).append(trial_metrics(trial).latency_ms)
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
