"""`isolation: dedicated`: an engine for every arm, with only that arm's guards and the KV pool that they leave.

baseline: engine, all its blocks | arm: guards, warmed, measured; engine with the rest; all blocks | ... | baseline
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from multiprocessing import active_children
from pathlib import Path
from typing import Any, Protocol

from guards.guard import Guard
from guards.stack import stack
from profiler.analysis.kv_pool import Footprint, Pool, displaced, footprint_of, left_utilisation, pool_of
from profiler.analysis.resources import TrialResources, resources_of
from profiler.engines.modelled import ModelledEngine
from profiler.errors import UserError
from profiler.experiment import ALL_DONE, Bench, Experiment, Observer, stacks_of, warm_up
from profiler.load import quiet_gc
from profiler.meters.meters import open_meters
from profiler.meters.not_measured import NotMeasured
from profiler.meters.roles import known_roles
from profiler.plan import Part, plan_parts
from profiler.prompts import PromptSets
from profiler.records.store import write_parts
from profiler.scenario import BASELINE, Scenario

_OVERRIDE = "num_gpu_blocks_override"


class Room(Protocol):
    """Is asked, while a bench is opened, what the guards leave for the engine."""

    async def empty(self) -> None:
        """Nothing has been opened yet."""
        ...

    async def settings(self, guards: Mapping[str, Guard]) -> Mapping[str, Any]:
        """The guards are there, the engine is not: engine arguments that leave them their memory.

        Raises:
            UserError: they leave too little, or their memory cannot be measured here.
        """
        ...


class Opener(Protocol):
    """Opens a bench for a scenario of one arm; without a room its engine takes what the scenario gives it."""

    def __call__(self, scenario: Scenario, room: Room | None) -> AbstractAsyncContextManager[Bench]:
        """Engine, guards and meters, started; stopped again in the end."""
        ...


@dataclass(frozen=True)
class Dedicated:
    """A run of a scenario, an engine an arm. `where` names the scenario in messages."""

    scenario: Scenario
    sets: PromptSets
    where: str
    open: Opener

    def baseline(self) -> AbstractAsyncContextManager[Bench]:
        """The bench of the first part."""
        return self.open(self.scenario.alone(BASELINE), None)

    def pool(self, bench: Bench) -> Pool:
        """The baseline's KV pool.

        Raises:
            UserError: its engine does not tell it.
        """
        found = pool_of(bench.engine.facts)
        if isinstance(found, NotMeasured):
            raise UserError(f"{self.where}: isolation: dedicated cannot be: {found.why}: use `isolation: shared`")
        return found

    async def execute(
        self, run: Path, first: Bench, close_first: Callable[[], Awaitable[None]], observer: Observer
    ) -> str:
        """Run the baseline on `first` and close it, then part after part; returns why it ended.

        Raises:
            EngineDied: an engine is gone; what was stored stays.
            UserError: an arm's guards leave too little, or something of it cannot be opened or stored.
        """
        pool, facts, notes = self.pool(first), first.engine.facts, list[dict[str, Any]]()
        baseline, *others = plan_parts(list(self.scenario.stacks()), self.scenario.blocks, self.scenario.seed)
        experiment = Experiment(self.scenario.alone(BASELINE), self.sets, first, run)
        await experiment.idle()
        await _run(experiment, baseline, observer)
        await close_first()
        for part in others:
            alone = self.scenario.alone(part.arm)
            room = None if part.arm == BASELINE else GuardsFirst(alone, part.arm, self.sets, self.where, pool, facts)
            async with self.open(alone, room) as bench:
                if room is not None:
                    notes.append({**room.note, "facts": dict(bench.engine.facts)})
                    await asyncio.to_thread(write_parts, run, notes)
                await _run(Experiment(alone, self.sets, bench, run), part, observer)
        return ALL_DONE


async def _run(experiment: Experiment, part: Part, observer: Observer) -> None:
    """Warm the arm up and run all its blocks."""
    generator = stacks_of(experiment.scenario, experiment.bench)[part.arm]
    await warm_up(experiment.scenario, experiment.sets, {part.arm: generator})
    with quiet_gc():
        for planned in part.trials:
            observer.trial_started(planned)
            trial = await experiment.trial(planned, generator, observer)
            await asyncio.to_thread(observer.trial_stored, trial)


@dataclass
class GuardsFirst:
    """Measures an arm's guards before its engine starts. `pool`, `facts`: the baseline's. `note`: what was done."""

    scenario: Scenario
    arm: str
    sets: PromptSets
    where: str
    pool: Pool
    facts: Mapping[str, str]
    note: dict[str, Any] = field(default_factory=dict)
    _empty: TrialResources | None = None

    async def empty(self) -> None:
        """What a card holds without this run: needed where NVML does not tell processes apart."""
        if self.pool.device != "cpu":
            self._empty = await asyncio.to_thread(_window)

    async def settings(self, guards: Mapping[str, Guard]) -> Mapping[str, Any]:
        """Warm the guards up, see what they hold, take it from the pool.

        Raises:
            UserError: they leave too little, or their memory cannot be measured here.
        """
        names = self.scenario.stacks()[self.arm]
        # Any generator does: the guards are to have judged once, with all that they load and compile for it.
        await warm_up(self.scenario, self.sets, {self.arm: stack(ModelledEngine(), [guards[name] for name in names])})
        found = footprint_of(await asyncio.to_thread(_window), self.pool, self._empty)
        if isinstance(found, NotMeasured):
            raise UserError(f"{self.where}: isolation: dedicated: arm {self.arm}: {found.why}: use `isolation: shared`")
        return self._leave(found, names)

    def _leave(self, found: Footprint, names: tuple[str, ...]) -> Mapping[str, Any]:
        taken = displaced(self.pool, found.mib)
        left, share = self.pool.blocks - taken.blocks, left_utilisation(self.facts, self.pool, found.mib)
        stated = self.scenario.engine.get(_OVERRIDE) is not None
        if (left < self._least() and not stated) or (share is not None and share <= 0):
            raise UserError(
                f"{self.where}: arm {self.arm}: its guards hold {found.mib:.0f} MiB, the KV pool is "
                f"{self.pool.blocks * self.pool.block_bytes / 2**20:.0f} MiB: {max(left, 0)} of {self.pool.blocks} "
                f"blocks would be left, {self._least()} are needed: enlarge the pool or place a guard elsewhere"
            )
        settings: dict[str, Any] = {} if stated else {_OVERRIDE: left}
        if share is not None:
            # vLLM refuses to start where less is free than its share of the card.
            settings |= {"gpu_memory_utilization": round(share, 4)}
        self.note = {
            "arm": self.arm,
            "guards": list(names),
            "footprint_mib": found.mib,
            "how": found.how,
            "displaced_blocks": taken.blocks,
            "predicted_blocks": None if stated else left,
            "settings": settings,
        }
        return settings

    def _least(self) -> int:
        """Blocks that one request of the greatest length takes."""
        return math.ceil(int(self.scenario.engine.get("max_model_len") or 1) / (self.pool.tokens / self.pool.blocks))


def _window() -> TrialResources:
    with open_meters() as meters:
        roles = known_roles((), active_children())
        meters.begin(roles)
        return resources_of(meters.end(roles))
