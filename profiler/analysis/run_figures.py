"""Every arm's own figures of one run with their standard errors over blocks: what limits and other runs are held to."""

from collections.abc import Mapping, Sequence

from profiler.analysis.blocks import BlockFigures, by_block
from profiler.analysis.comparison import QUANTILES, Estimates
from profiler.analysis.metrics import LATENCIES, TrialMetrics
from profiler.analysis.stats import (
    P99_MIN_REQUESTS,
    NotEnoughBlocks,
    log_mean_of_blocks,
    mean_of_blocks,
    quantile_of_blocks,
)
from profiler.analysis.tax import RunResult

# Of the bootstrap's draws: the same run gives the same figures.
_SEED = 1947
# Under which names a run says that it lacks the meter; runs of before the samples say "energy".
_METERS = {
    "energy_j_per_token": ("energy", "gpu"),
    "device_memory_mib": ("gpu",),
    "cpu_energy_j_per_token": ("cpu_energy",),
    "pss_steady_mib": ("pss",),
}


def steady_trials(result: RunResult, arm: str) -> list[TrialMetrics]:
    """An arm's trials without those of the warm-up."""
    return [trial for trial in result.trials if trial.arm == arm and trial.block not in result.warm_up.blocks]


def own_estimates(trials: Sequence[TrialMetrics]) -> dict[str, Estimates]:
    """Every metric that one arm has in two blocks or more; p99 only from 459 requests up.

    `log_ratio` is of the figure itself: the difference of two runs' is the log of their ratio.
    """
    blocks = by_block(trials)
    found = {name: _of_values(name, blocks) for name in dict.fromkeys(n for b in blocks.values() for n in b.values)}
    for metric in LATENCIES:
        found |= {f"{metric}.{name}": _of_quantile(metric, q, blocks) for name, q in QUANTILES.items()}
    return {name: one for name, one in found.items() if one is not None}


def own_estimate(name: str, blocks: Mapping[int, BlockFigures]) -> Estimates | None:
    """The same of one metric, such as "ttft_ms.p50"; None where `own_estimates` has none."""
    metric, _, statistic = name.partition(".")
    return _of_quantile(metric, QUANTILES[statistic], blocks) if statistic in QUANTILES else _of_values(name, blocks)


def _of_values(name: str, blocks: Mapping[int, BlockFigures]) -> Estimates | None:
    known = [value for block in blocks.values() if (value := block.values.get(name)) is not None]
    if len(known) < 2:
        return None
    return Estimates(mean_of_blocks(known), log_mean_of_blocks(known) if min(known) > 0 else None)


def _of_quantile(metric: str, q: float, blocks: Mapping[int, BlockFigures]) -> Estimates | None:
    values = [block.latency_ms[metric] for block in blocks.values()]
    if q > 0.95 and sum(map(len, values)) < P99_MIN_REQUESTS:
        return None
    try:
        pair = quantile_of_blocks(values, q, seed=_SEED)
    except NotEnoughBlocks:
        return None
    return Estimates(pair.absolute, pair.log_ratio)


def why_none(key: str, trials: Sequence[TrialMetrics], not_measured: Mapping[str, str]) -> str:
    """Why an arm has no interval for a metric."""
    metric, _, statistic = key.partition(".")
    blocks = {trial.block for trial in trials}
    if len(blocks) < 2:
        return f"{len(blocks)} block(s): an interval needs two or more"
    if metric in LATENCIES:
        requests = sum(len(trial.latency_ms[metric]) for trial in trials)
        if statistic == "p99" and requests < P99_MIN_REQUESTS:
            return f"a p99 needs {P99_MIN_REQUESTS} requests in each arm, there are {requests}: add blocks"
        return "no answer had it in two blocks or more"
    said = (not_measured.get(name) for name in _METERS.get(metric, ()))
    return next((why for why in said if why), "no reading for every trial")
