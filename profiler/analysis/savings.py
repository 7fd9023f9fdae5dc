"""What the engine made in a trial, how much of it nobody got, and what early blocks spared it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.columns import Bools, Calls, Ints, ints
from profiler.analysis.engine_clock import LOAD
from profiler.analysis.step_model import LOADS
from profiler.analysis.timeline import Floats
from profiler.records.record import Outcome
from profiler.records.store import StoredTrial


@dataclass(frozen=True)
class EngineUse:
    """Per request, in order of `index`: tokens that the engine made, and the load of its stay by metric.

    `stopped`: the guard blocked or cut it. `answered` counts requests with an answer.
    """

    index: Ints
    made: Ints
    stopped: Bools
    stays: Mapping[str, Floats]
    answered: int
    wasted_tokens: int

    @property
    def generated_tokens(self) -> int:
        """All tokens that the engine made."""
        return int(self.made.sum())

    def saved(self, metric: str, baseline: Sequence["EngineUse"]) -> Floats:
        """Load that blocks spared, shape (4,), a request on average: not above 0 where they spared anything."""
        total = np.zeros(LOADS)
        for base in baseline:
            mine, theirs = self._spared(base)
            if metric == "ttft_ms":
                # The way to the first token was spared only where the engine was not waited for at all.
                idle = ~self.stays[metric][mine].any(axis=1)
                mine, theirs = mine[idle], theirs[idle]
            total += (self.stays[metric][mine] - base.stays[metric][theirs]).sum(axis=0)
        return total / max(len(baseline) * self.answered, 1)

    def _spared(self, base: "EngineUse") -> tuple[Ints, Ints]:
        """Rows, here and there, of the requests that were stopped and for which the baseline made more."""
        _, mine, theirs = np.intersect1d(self.index, base.index, assume_unique=True, return_indices=True)
        spared = self.stopped[mine] & (self.made[mine] < base.made[theirs])
        return mine[spared], theirs[spared]


def use_of(
    trial: StoredTrial, calls: Calls, delivered: Ints, answered: Bools, stays: Mapping[str, Floats]
) -> EngineUse:
    """What the engine did in a trial. `stays`: shape (requests, features) by metric."""
    made = np.bincount(calls.request, calls.output_tokens, len(delivered)).astype(np.int64)
    stopped = np.asarray(trial.table["outcome"].to_numpy() == Outcome.BLOCKED.value)
    return EngineUse(
        ints(trial.table, "index"),
        made,
        stopped,
        {metric: found[:, LOAD].copy() for metric, found in stays.items()},
        int(answered.sum()),
        int(np.maximum(made - delivered, 0).sum()),
    )


def saved_tokens(use: EngineUse, baseline: Sequence[EngineUse]) -> float:
    """Tokens that the baseline made, on average of its replicates, and blocks spared here."""
    total = 0
    for base in baseline:
        mine, theirs = use._spared(base)
        total += int((base.made[theirs] - use.made[mine]).sum())
    return total / max(len(baseline), 1)
