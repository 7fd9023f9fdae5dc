"""A block's figures of one arm: what is compared. Trials of one arm in one block (the baseline's two) are pooled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.block_resources import mean as _mean
from profiler.analysis.block_resources import resource_figures
from profiler.analysis.metrics import LATENCIES, Array, TrialMetrics

TOKENS_PER_S = "output_tokens_per_s.mean"
PREEMPTIONS = "preemptions"


@dataclass(frozen=True)
class BlockFigures:
    """One arm in one block: its requests' latencies, sorted, ms, and its other figures, None without a reading."""

    latency_ms: Mapping[str, Array]
    values: Mapping[str, float | None]


def by_block(trials: Sequence[TrialMetrics]) -> dict[int, BlockFigures]:
    """The figures of one arm's trials by block."""
    found: dict[int, list[TrialMetrics]] = {}
    for trial in trials:
        found.setdefault(trial.block, []).append(trial)
    return {block: _pooled(mine) for block, mine in sorted(found.items())}


def _pooled(trials: Sequence[TrialMetrics]) -> BlockFigures:
    latency = {metric: np.sort(np.concatenate([t.latency_ms[metric] for t in trials])) for metric in LATENCIES}
    seconds = sum(t.duration_s for t in trials)
    return BlockFigures(
        latency,
        {
            **{f"{metric}.mean": float(found.mean()) if len(found) else None for metric, found in latency.items()},
            TOKENS_PER_S: sum(t.output_tokens for t in trials) / seconds if seconds > 0 else None,
            "peak_memory_mib": _mean([t.peak_memory_mib for t in trials]),
            "cpu_s": _mean([t.cpu_s for t in trials]),
            PREEMPTIONS: _mean([t.preemptions for t in trials]),
            **resource_figures(trials),
        },
    )
