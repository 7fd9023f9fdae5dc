"""The profiler's side of `bench-precision`: randomised short trials in process, for as long as is given."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from guards.generation import Generator
from profiler.engines.vllm_engine import VllmEngine
from profiler.machine import git_commit, machine, versions
from profiler.plan import PlannedTrial, plan_trials
from profiler.prompts import PromptSets, draw_workload
from profiler.records.record import RequestRecord, TrialInfo
from profiler.records.store import StoredTrial, as_table, create_run, write_trial
from profiler.scenario import Scenario
from profiler.trial import Workload, run_trial

_ENOUGH_BLOCKS = 10_000
# The ledger's intervals take two at least.
_LEAST_BLOCKS = 2


@dataclass(frozen=True)
class Interleaved:
    """An engine, its arms, and the workload that they share."""

    scenario: Scenario
    sets: PromptSets
    engine: VllmEngine
    stacks: dict[str, Generator]

    async def warm_up(self) -> int:
        """Every arm once, unrecorded; mean prompt length in tokens."""
        prompts = self.sets.warmup[: self.scenario.warmup_requests]
        tokens: list[int] = []
        for arm, generator in self.stacks.items():
            found = await run_trial(generator, Workload(self.scenario, prompts, 0), f"warm-{arm}", watch=_ignore)
            tokens += [call.prompt_tokens for record in found.records for call in record.engine_calls]
        return round(float(np.mean(tokens)))

    async def run(self, seconds: float, seed: int, folder: Path) -> list[StoredTrial]:
        """Whole blocks of randomised trials until the time is over; stored as they come."""
        scenario = self.scenario.model_copy(update={"seed": seed})
        run = create_run(folder.parent, folder.name, self._manifest(scenario))
        deadline = time.monotonic() + seconds
        trials: list[StoredTrial] = []
        for block in self._blocks(seed):
            for planned in block:
                trials.append(await self._trial(planned, scenario, run))
            if block[0].block + 1 >= _LEAST_BLOCKS and time.monotonic() >= deadline:
                break
        return trials

    async def _trial(self, planned: PlannedTrial, scenario: Scenario, run: Path) -> StoredTrial:
        work = Workload(scenario, draw_workload(scenario, self.sets, planned.block), planned.block)
        await self.engine.reset_prefix_cache()
        tag = f"s{scenario.seed}-t{planned.index}"
        found = await run_trial(self.stacks[planned.arm], work, tag, watch=_ignore)
        tokens = sum(call.output_tokens for record in found.records for call in record.engine_calls)
        place = (planned.index, planned.block, planned.arm, planned.replicate)
        info = TrialInfo(*place, found.started_ns, found.ended_ns, engine_tokens=tokens)
        await asyncio.to_thread(write_trial, run, info, found.records)
        return StoredTrial(info, as_table(info, found.records))

    def _blocks(self, seed: int) -> Iterator[list[PlannedTrial]]:
        plan = plan_trials(list(self.stacks), _ENOUGH_BLOCKS, seed)
        for _, block in groupby(plan, key=lambda planned: planned.block):
            yield list(block)

    def _manifest(self, scenario: Scenario) -> dict[str, object]:
        return {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "facts": {**self.engine.facts, "scenario": "precision"},
            "scenario": scenario.model_dump(mode="json"),
            "arms": list(self.stacks),
            "machine": machine(),
            "versions": versions(),
            "git_commit": git_commit(),
        }


def _ignore(record: RequestRecord) -> None:
    """The trial's outcome holds its records."""
