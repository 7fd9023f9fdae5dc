"""Many runs in the order of time: each arm's figures in each, and where their level has changed."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from profiler.analysis.blocks import BlockFigures, by_block
from profiler.analysis.comparison import estimate_one
from profiler.analysis.metrics import LATENCIES, TrialMetrics
from profiler.analysis.run_figures import own_estimate
from profiler.analysis.series import SeriesKey
from profiler.analysis.stats import Interval, TEstimate, quantile
from profiler.analysis.stats.change_points import LEAST_RUNS, ChangePoint, change_points
from profiler.analysis.steady import TrialLevel, find_cut
from profiler.records.query import TrialRow
from profiler.records.record import TrialInfo
from profiler.scenario import BASELINE

Key = str
"""A metric as the analysis keeps it: "ttft_ms.p50"."""


@dataclass(frozen=True)
class ArmFigures:
    """One arm in one run, its steady blocks. `quantiles_ms` by "ttft_ms.p50" and the like; None without a value.

    `own` is the metric's own figure over blocks, `tax` it against the baseline; logarithms, None with fewer than two
    blocks, or where a figure is not positive.
    """

    requests: int
    quantiles_ms: Mapping[Key, float | None]
    output_tokens_per_s: float | None
    own: TEstimate | None
    tax: TEstimate | None


@dataclass(frozen=True)
class HistoryRun:
    """A run in a history. `started` is ISO 8601, `blocks` those of its steady part; `note` limits what it shows."""

    name: str
    started: str
    git_commit: str
    key: SeriesKey
    blocks: int
    arms: Mapping[str, ArmFigures]
    note: str = ""


@dataclass(frozen=True)
class Trend:
    """One arm over the runs of a series that have it: `places` index the series' runs.

    `estimates` are logarithms of the figure, of 1 + the tax where the tax is followed. `changes` index `places`.
    """

    arm: str
    places: tuple[int, ...]
    estimates: tuple[TEstimate, ...]
    changes: tuple[ChangePoint, ...]

    @property
    def long_enough(self) -> bool:
        """Whether changes were looked for at all."""
        return len(self.places) >= LEAST_RUNS


@dataclass(frozen=True)
class Series:
    """Runs that may be compared, in the order of time."""

    key: SeriesKey
    runs: tuple[HistoryRun, ...]
    trends: tuple[Trend, ...]


def history_run(
    name: str,
    manifest: Mapping[str, Any],
    key: SeriesKey,
    rows: Sequence[tuple[TrialInfo, TrialRow]],
    metric: Key,
    note: str = "",
) -> HistoryRun:
    """A run's figures from its trials; `metric` is what the history follows. The warm-up is cut as a report cuts it."""
    cut = find_cut([TrialLevel(info.block, info.arm, info.started_ns, row.level) for info, row in rows]).blocks
    steady = [_metrics(info, row) for info, row in rows if info.block not in cut]
    arms = {arm: [t for t in steady if t.arm == arm] for arm in _order(manifest, steady)}
    blocks = {arm: by_block(mine) for arm, mine in arms.items()}
    base = blocks.get(BASELINE, {})
    return HistoryRun(
        name,
        str(manifest.get("started", "")),
        str(manifest.get("git_commit") or ""),
        key,
        len({t.block for t in steady}),
        {arm: _arm(arm, mine, blocks[arm], base, metric) for arm, mine in arms.items()},
        note,
    )


def in_series(runs: Iterable[HistoryRun], *, tax: bool) -> tuple[Series, ...]:
    """The runs by what they share, series in the order of their first run. `tax`: follow it, not the figure itself."""
    found: dict[SeriesKey, list[HistoryRun]] = {}
    for run in sorted(runs, key=lambda run: (run.started, run.name)):
        found.setdefault(run.key, []).append(run)
    return tuple(Series(key, tuple(mine), _trends(mine, tax)) for key, mine in found.items())


def value(estimate: TEstimate, *, tax: bool, confidence: float = 0.95) -> Interval:
    """The figure that a logarithm stands for, with its interval; relative where it is a tax: 0.05 is +5 %."""
    if tax:
        return estimate.relative_interval(confidence)
    log = estimate.interval(confidence)
    centre, low, high = (math.exp(min(end, 700.0)) for end in (log.estimate, log.low, log.high))
    return Interval(centre, low, high, confidence)


def _trends(runs: Sequence[HistoryRun], tax: bool) -> tuple[Trend, ...]:
    arms = dict.fromkeys(arm for run in runs for arm in run.arms if not (tax and arm == BASELINE))
    return tuple(_trend(arm, runs, tax) for arm in arms)


def _trend(arm: str, runs: Sequence[HistoryRun], tax: bool) -> Trend:
    having = [(place, run.arms[arm]) for place, run in enumerate(runs) if arm in run.arms]
    known = [(p, found) for p, one in having if (found := one.tax if tax else one.own) is not None]
    estimates = tuple(found for _, found in known)
    changes = change_points([one.estimate for one in estimates], [_spread(one) for one in estimates])
    return Trend(arm, tuple(place for place, _ in known), estimates, changes)


def _spread(one: TEstimate) -> float:
    """The standard deviation of the t that the estimate follows: few blocks say less of their own error."""
    return one.standard_error * math.sqrt(one.df / (one.df - 2) if one.df > 2 else 3.0)


def _metrics(info: TrialInfo, row: TrialRow) -> TrialMetrics:
    """What the blocks are made of; what a history does not show is left empty."""
    return TrialMetrics(
        info.arm,
        info.block,
        info.replicate,
        dict(row.latency_ms),
        (info.ended_ns - info.started_ns) / 1e9,
        row.output_tokens,
        row.requests,
        Counter(),
        0,
        None,
        None,
        None,
    )


def _order(manifest: Mapping[str, Any], trials: Sequence[TrialMetrics]) -> list[str]:
    present = {t.arm for t in trials}
    planned = [arm for arm in manifest.get("arms", [BASELINE]) if arm in present]
    return [*planned, *sorted(present - set(planned))]


def _arm(
    arm: str,
    trials: Sequence[TrialMetrics],
    blocks: Mapping[int, BlockFigures],
    base: Mapping[int, BlockFigures],
    metric: Key,
) -> ArmFigures:
    pooled = {name: np.concatenate([t.latency_ms[name] for t in trials]) for name in LATENCIES}
    seconds = sum(t.duration_s for t in trials)
    own, tax = own_estimate(metric, blocks), None if arm == BASELINE else estimate_one(metric, base, blocks)
    return ArmFigures(
        sum(t.requests for t in trials),
        {
            f"{name}.{word}": quantile(ms, q) if len(ms) else None
            for name, ms in pooled.items()
            for word, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
        },
        sum(t.output_tokens for t in trials) / seconds if seconds > 0 else None,
        None if own is None else own.log_ratio,
        None if tax is None else tax.log_ratio,
    )
