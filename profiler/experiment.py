"""The experiment: warm up, run every planned trial, store each before the next starts."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from guards.generation import Generator
from guards.guard import Guard
from guards.stack import stack
from profiler.engines.engine import Engine
from profiler.engines.tap import Tap
from profiler.meters.energy import EnergyMeter, NotMeasured
from profiler.meters.memory import MemoryMeter, cpu_seconds
from profiler.plan import PlannedTrial
from profiler.prompts import PromptSets
from profiler.records.record import Readings, RequestRecord, TrialInfo
from profiler.records.store import write_trial
from profiler.scenario import Scenario
from profiler.trial import Outcomes, Workload, run_trial


class Progress(Protocol):
    """Is told how the run goes."""

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial begins."""
        ...

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended."""
        ...

    def trial_stored(self, info: TrialInfo) -> None:
        """A trial is on disk."""
        ...


@dataclass(frozen=True)
class Bench:
    """What trials run on: the engine, the guards by name, the meters."""

    engine: Engine
    guards: Mapping[str, Guard]
    memory: MemoryMeter
    energy: EnergyMeter | NotMeasured


@dataclass(frozen=True)
class Experiment:
    """One run of a scenario on a bench."""

    scenario: Scenario
    sets: PromptSets
    bench: Bench
    plan: tuple[PlannedTrial, ...]
    run: Path

    async def execute(self, progress: Progress) -> None:
        """Warm up every arm, then run and store the planned trials in order.

        Raises:
            EngineDied: the engine is gone; what was stored stays.
            UserError: a trial could not be stored.
        """
        stacks = self._stacks()
        await self._warm_up(stacks)
        for planned in self.plan:
            progress.trial_started(planned)
            info = await self._trial(planned, stacks[planned.arm], progress)
            progress.trial_stored(info)

    def _stacks(self) -> dict[str, Generator]:
        tap = Tap(self.bench.engine)
        arms = self.scenario.stacks()
        return {arm: stack(tap, [self.bench.guards[name] for name in names]) for arm, names in arms.items()}

    async def _warm_up(self, stacks: Mapping[str, Generator]) -> None:
        count = self.scenario.warmup_requests
        prompts = tuple(self.sets.warmup[i % len(self.sets.warmup)] for i in range(count))
        for arm, generator in stacks.items():
            await run_trial(generator, Workload(self.scenario, prompts, 0), f"warm-{arm}", watch=_ignore)

    async def _trial(self, planned: PlannedTrial, generator: Generator, progress: Progress) -> TrialInfo:
        bench = self.bench
        work = Workload.draw(self.scenario, self.sets, planned.block)
        await bench.engine.reset_prefix_cache()
        await asyncio.to_thread(bench.memory.reset)
        before, cpu, energy_j = bench.engine.counters(), cpu_seconds(), self._energy_j()
        tag = f"t{planned.index}"
        found = await run_trial(generator, work, tag, watch=progress.request_done)
        after = bench.engine.counters()
        energy = None if energy_j is None else (self._energy_j() or 0.0) - energy_j
        peak_mib = await asyncio.to_thread(bench.memory.peak_mib)
        readings = Readings(peak_mib, cpu_seconds() - cpu, energy)
        info = _info(planned, found, readings, after.aborted - before.aborted)
        await asyncio.to_thread(write_trial, self.run, info, found.records)
        return info

    def _energy_j(self) -> float | None:
        meter = self.bench.energy
        return None if isinstance(meter, NotMeasured) else meter.read_j()


def _info(planned: PlannedTrial, found: Outcomes, readings: Readings, aborted: int) -> TrialInfo:
    tokens = sum(call.output_tokens for record in found.records for call in record.engine_calls)
    return TrialInfo(
        planned.index,
        planned.block,
        planned.arm,
        planned.replicate,
        found.started_ns,
        found.ended_ns,
        readings,
        aborted,
        tokens,
    )


def _ignore(record: RequestRecord) -> None:
    """Warm-up requests are not recorded."""
