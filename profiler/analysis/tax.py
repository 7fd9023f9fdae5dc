"""From a stored run to the tax of each arm: per-arm figures and paired differences by block."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.metrics import LATENCIES, TrialMetrics, trial_metrics
from profiler.analysis.stats.interval import Interval
from profiler.analysis.stats.order_stats import quantile
from profiler.analysis.stats.paired import mean_difference
from profiler.records.store import StoredRun
from profiler.scenario import BASELINE

P99_MIN_REQUESTS = 459
_LATENCY_STATISTICS = ("mean", "p50", "p99")


@dataclass(frozen=True)
class Summary:
    """Mean, median and 99th percentile of a sample of latencies, ms."""

    mean: float
    p50: float
    p99: float
    count: int

    @property
    def p99_bounded(self) -> bool:
        """Whether the sample is large enough for a 95 % interval on its p99 (order statistics)."""
        return self.count >= P99_MIN_REQUESTS


@dataclass(frozen=True)
class Tax:
    """What an arm costs over the baseline: absolute, in the metric's unit, with a 95 % interval."""

    absolute: float
    relative: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class ArmResult:
    """One arm's figures. None where the machine measured none."""

    name: str
    requests: int
    latency: dict[str, Summary | None]
    output_tokens_per_s: float
    peak_memory_mib: float | None
    cpu_s_per_request: float | None
    energy_j_per_token: float | None
    outcomes: dict[str, int]
    guard_errors: int
    tax: dict[str, Tax]


@dataclass(frozen=True)
class RunResult:
    """A run's result. `noise_floor` is one baseline against the other, `warnings` what limits it."""

    run: StoredRun
    blocks: int
    arms: dict[str, ArmResult]
    noise_floor: dict[str, Tax]
    warnings: tuple[str, ...]


Statistic = Callable[[TrialMetrics], float | None]


def _latency_statistic(metric: str, name: str) -> Statistic:
    def value(trial: TrialMetrics) -> float | None:
        sample = trial.latency_ms[metric]
        if len(sample) == 0:
            return None
        return float(sample.mean()) if name == "mean" else quantile(sample, 0.5)

    return value


# A p99 of one short trial is its slowest request: no tax is claimed on it.
STATISTICS: dict[str, Statistic] = {
    **{f"{m}.{s}": _latency_statistic(m, s) for m in LATENCIES for s in ("mean", "p50")},
    "output_tokens_per_s.mean": lambda trial: trial.output_tokens_per_s,
    "peak_memory_mib": lambda trial: trial.peak_memory_mib,
    "cpu_s": lambda trial: trial.cpu_s,
}


def analyse(run: StoredRun) -> RunResult:
    """Figures and taxes of every arm that has a finished trial. Taxes use blocks that are complete in both arms."""
    trials = [trial_metrics(trial) for trial in run.trials]
    names = list(dict.fromkeys([BASELINE, *(t.arm for t in sorted(trials, key=lambda t: t.arm))]))
    planned = list(run.manifest.get("arms", names))
    order = [name for name in planned if any(t.arm == name for t in trials)]
    arms = {name: _arm(name, trials) for name in order}
    floor = _taxes([t for t in trials if _is(t, BASELINE, 0)], [t for t in trials if _is(t, BASELINE, 1)])
    blocks = len({t.block for t in trials})
    return RunResult(run, blocks, arms, floor, _warnings(run, trials, arms))


def _is(trial: TrialMetrics, arm: str, replicate: int) -> bool:
    return trial.arm == arm and trial.replicate == replicate


def _arm(name: str, trials: Sequence[TrialMetrics]) -> ArmResult:
    mine = [t for t in trials if t.arm == name]
    baseline = [t for t in trials if t.arm == BASELINE]
    requests = sum(t.requests for t in mine)
    outcomes: Counter[str] = sum((t.outcomes for t in mine), Counter())
    cpu = [t.cpu_s for t in mine if t.cpu_s is not None]
    memory = [t.peak_memory_mib for t in mine if t.peak_memory_mib is not None]
    return ArmResult(
        name=name,
        requests=requests,
        latency={metric: _summary(metric, mine) for metric in LATENCIES},
        output_tokens_per_s=sum(t.output_tokens for t in mine) / sum(t.duration_s for t in mine),
        peak_memory_mib=max(memory, default=None),
        cpu_s_per_request=sum(cpu) / requests if len(cpu) == len(mine) else None,
        energy_j_per_token=_energy_per_token(mine),
        outcomes={key: outcomes.get(key, 0) for key in mine[0].outcomes},
        guard_errors=sum(t.guard_errors for t in mine),
        tax={} if name == BASELINE else _taxes(baseline, mine),
    )


def _summary(metric: str, trials: Sequence[TrialMetrics]) -> Summary | None:
    pooled = np.concatenate([t.latency_ms[metric] for t in trials])
    if len(pooled) == 0:
        return None
    return Summary(float(pooled.mean()), quantile(pooled, 0.5), quantile(pooled, 0.99), len(pooled))


def _energy_per_token(trials: Sequence[TrialMetrics]) -> float | None:
    energy = [t.energy_j for t in trials if t.energy_j is not None]
    tokens = sum(t.output_tokens for t in trials)
    return sum(energy) / tokens if len(energy) == len(trials) and tokens else None


def _taxes(baseline: Sequence[TrialMetrics], arm: Sequence[TrialMetrics]) -> dict[str, Tax]:
    found = {name: _tax(baseline, arm, statistic) for name, statistic in STATISTICS.items()}
    return {name: tax for name, tax in found.items() if tax is not None}


def _tax(baseline: Sequence[TrialMetrics], arm: Sequence[TrialMetrics], statistic: Statistic) -> Tax | None:
    base, mine = _by_block(baseline, statistic), _by_block(arm, statistic)
    shared = sorted(base.keys() & mine.keys())
    if len(shared) < 2:
        return None
    reference = np.array([base[b] for b in shared])
    interval: Interval = mean_difference(reference, np.array([mine[b] for b in shared]))
    centre = float(reference.mean())
    relative = interval.estimate / centre if centre else float("nan")
    return Tax(interval.estimate, relative, (interval.low, interval.high))


def _by_block(trials: Sequence[TrialMetrics], statistic: Statistic) -> dict[int, float]:
    values: dict[int, list[float]] = {}
    for trial in trials:
        value = statistic(trial)
        if value is not None:
            values.setdefault(trial.block, []).append(value)
    return {block: float(np.mean(found)) for block, found in values.items()}


def _warnings(run: StoredRun, trials: Sequence[TrialMetrics], arms: dict[str, ArmResult]) -> tuple[str, ...]:
    found = [f"damaged and left out: {name}" for name in run.damaged]
    planned = run.manifest.get("planned_trials", len(trials))
    if len(trials) + len(run.damaged) < planned:
        found.append(f"{len(trials)} of {planned} trials finished: the rest is not in these figures")
    lags = np.concatenate([t.dispatch_lag_ms for t in trials]) if trials else np.zeros(0)
    if len(lags) and (lag := quantile(lags, 0.99)) > 1.0:
        found.append(
            f"dispatch lag p99 is {lag:.1f} ms (limit 1 ms): latencies from the scheduled arrival are not valid"
        )
    for arm in arms.values():
        if failed := arm.outcomes.get("error", 0):
            found.append(f"{arm.name}: {failed} of {arm.requests} requests failed")
        if arm.guard_errors:
            found.append(f"{arm.name}: {arm.guard_errors} guard checks gave no verdict (on_error applied)")
    if len({t.block for t in trials}) < 2:
        found.append("fewer than 2 blocks: no tax can be given an interval")
    return tuple(found)
