"""The experiment: warm up, run block after block, store each trial before the next starts."""

import asyncio
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import active_children
from pathlib import Path
from typing import Protocol

from guards.generation import EngineDied, Generator
from guards.guard import Guard
from guards.stack import stack
from profiler.analysis.metrics import COLUMNS, TrialMetrics, trial_metrics
from profiler.analysis.resources import readings_of
from profiler.analysis.until import looked
from profiler.engines.engine import Engine, EngineCounters
from profiler.engines.tap import Tap
from profiler.errors import UserError
from profiler.judging import Judge, judged
from profiler.load import quiet_gc
from profiler.meters.meters import Meters
from profiler.meters.roles import Role, known_roles
from profiler.plan import PlannedTrial, plan_block
from profiler.prompts import PromptSets
from profiler.records.record import Readings, RequestRecord, TrialInfo
from profiler.records.samples import IDLE
from profiler.records.store import DamagedTrial, StoredTrial, TrialFile, as_table, write_idle, write_stored
from profiler.scenario import BASELINE, Scenario
from profiler.trial import Outcomes, Workload, run_trial

ALL_DONE = "all blocks done"
_COOLDOWN_S, _IDLE_S = 5.0, 10.0


class Observer(Protocol):
    """Is told how the run goes."""

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        """A trial was stored before this process began. Called off the event loop.

        Raises:
            DamagedTrial: it cannot be read any more.
        """
        ...

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial begins."""
        ...

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended. Called on the event loop while others are under way: in microseconds, please."""
        ...

    def trial_stored(self, trial: StoredTrial) -> None:
        """A trial is on disk, and the next one waits. Called off the event loop."""
        ...


@dataclass(frozen=True)
class Bench:
    """What trials run on: the engine, the guards by name, the meters, who judges answers (None: nobody).

    `apart` are processes that look like guards' and are not: the judge's.
    """

    engine: Engine
    guards: Mapping[str, Guard]
    meters: Meters
    judge: Judge | None = None
    apart: frozenset[int] = frozenset()

    def roles(self) -> dict[int, Role]:
        """What each process is for, as far as that is known; the meters know the rest by descent."""
        return {**known_roles(self.engine.pids, active_children()), **dict.fromkeys(self.apart, "other")}


def stacks_of(scenario: Scenario, bench: Bench) -> dict[str, Generator]:
    """Each arm's guards round the engine, the baseline first."""
    tap = Tap(bench.engine)
    return {arm: stack(tap, [bench.guards[name] for name in names]) for arm, names in scenario.stacks().items()}


async def warm_up(
    scenario: Scenario,
    sets: PromptSets,
    stacks: Mapping[str, Generator],
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> None:
    """Send every arm the warm-up prompts; nothing is recorded."""
    prompts = tuple(sets.warmup[i % len(sets.warmup)] for i in range(scenario.warmup_requests))
    for arm, generator in stacks.items():
        await run_trial(generator, Workload(scenario, prompts, 0), f"warm-{arm}", watch=_ignore, now_ns=now_ns)


@dataclass(frozen=True)
class Experiment:
    """One run of a scenario on a bench. `finished` trials, by index, are stored already and are not run again."""

    scenario: Scenario
    sets: PromptSets
    bench: Bench
    run: Path
    finished: Mapping[int, StoredTrial | TrialFile] = field(default_factory=dict)
    now_ns: Callable[[], int] = time.monotonic_ns

    async def execute(self, observer: Observer) -> str:
        """Warm up every arm, then run and store block after block; returns why it ended.

        Raises:
            EngineDied: the engine is gone; what was stored stays.
            UserError: a trial could not be stored.
        """
        stacks = stacks_of(self.scenario, self.bench)
        await self.idle()
        await warm_up(self.scenario, self.sets, stacks, self.now_ns)
        arms, seen = list(stacks), Seen(self.scenario, self.now_ns)
        # Once for the whole run: what lives by now is never looked at again.
        with quiet_gc():
            while not seen.ending:
                for planned in plan_block(arms, seen.blocks, self.scenario.seed):
                    if (stored := self.finished.get(planned.index)) is not None:
                        await asyncio.to_thread(_again, stored, seen, observer)
                        continue
                    observer.trial_started(planned)
                    trial = await self.trial(planned, stacks[planned.arm], observer)
                    await asyncio.to_thread(observer.trial_stored, trial)
                    seen.add(trial)
                seen.block_is_over([arm for arm in arms if arm != BASELINE])
        return seen.ending

    async def trial(self, planned: PlannedTrial, generator: Generator, observer: Observer) -> StoredTrial:
        """Run and store one trial.

        Raises:
            EngineDied: the engine is gone.
            UserError: the trial could not be stored.
        """
        bench = self.bench
        work = Workload.draw(self.scenario, self.sets, planned.block)
        await bench.engine.reset_prefix_cache()
        gc.collect()  # only what the trials since the start have left
        before = bench.engine.counters()
        await asyncio.to_thread(bench.meters.begin, bench.roles())
        tag = f"t{planned.index}"
        keep = bench.judge is not None
        watch, now_ns = observer.request_done, self.now_ns
        found = await run_trial(generator, work, tag, watch=watch, now_ns=now_ns, keep_answers=keep)
        after = bench.engine.counters()
        await _sync(bench.engine)
        samples = await asyncio.to_thread(bench.meters.end, bench.roles())
        info = _info(planned, found, readings_of(samples), before, after)
        # Every meter has been read: what the judge costs is in no figure.
        records = found.records if bench.judge is None else await judged(bench.judge, found)
        trial = StoredTrial(info, await asyncio.to_thread(as_table, info, records), samples)
        await asyncio.to_thread(write_stored, self.run, trial)
        return trial

    async def idle(self) -> None:
        """Cool down, then a window with nothing to do: the idle power."""
        config, meters = self.scenario.meters, self.bench.meters
        idle_s = (_IDLE_S if meters.power else 0.0) if config.idle_seconds is None else config.idle_seconds
        if idle_s == 0 or (self.run / IDLE).exists():
            return
        await asyncio.sleep(_COOLDOWN_S if config.cooldown_seconds is None else config.cooldown_seconds)
        await asyncio.to_thread(meters.begin, self.bench.roles())
        await asyncio.sleep(idle_s)
        samples = await asyncio.to_thread(meters.end, self.bench.roles())
        await asyncio.to_thread(write_idle, self.run, samples)


@dataclass
class Seen:
    """What the decision to go on needs: how many blocks there are, and under `until` their figures and the time.

    Trials that were stored before count with the time that they took then.
    """

    scenario: Scenario
    now_ns: Callable[[], int]
    blocks: int = 0
    ending: str = ""
    trials: list[TrialMetrics] = field(default_factory=list)
    earlier_ns: int = 0

    def __post_init__(self) -> None:
        """The clock starts."""
        self._began_ns = self.now_ns()

    def add(self, trial: StoredTrial) -> None:
        """A trial is over."""
        if self.scenario.until is not None:
            self.trials.append(trial_metrics(trial))

    def again(self, source: StoredTrial | TrialFile) -> None:
        """A trial was over before this process began.

        Raises:
            DamagedTrial: it cannot be read any more.
        """
        self.earlier_ns += source.info.ended_ns - source.info.started_ns
        if self.scenario.until is not None:
            self.add(source.load(COLUMNS))

    def block_is_over(self, arms: Sequence[str]) -> None:
        """Decide whether another block is run."""
        self.blocks += 1
        until = self.scenario.until
        if until is None:
            self.ending = ALL_DONE if self.blocks >= self.scenario.blocks else ""
            return
        found = looked(until, self.trials, arms)
        minutes = (self.earlier_ns + self.now_ns() - self._began_ns) / 60e9
        if found.over:
            self.ending = (
                "narrow enough" if found.narrow
                else f"max_blocks ({until.max_blocks}) reached" if found.looks
                else f"no arm has {until.metric}"
            )  # fmt: skip
        elif minutes * (1 + 1 / self.blocks) > until.max_minutes:
            # Another block would take longer than is allowed.
            self.ending = f"max_minutes ({until.max_minutes:g}) reached"


def _again(source: StoredTrial | TrialFile, seen: Seen, observer: Observer) -> None:
    """Take in a trial of before.

    Raises:
        UserError: it cannot be read any more.
    """
    try:
        seen.again(source)
        observer.trial_found(source)
    except DamagedTrial as damage:
        raise UserError(f"{damage}: damaged meanwhile: go on with the run once more") from damage


async def _sync(engine: Engine) -> None:
    """Wait until the engine has let go of the last aborted request: the device is idle."""
    try:
        await engine.reset_prefix_cache()
    except EngineDied:
        # The trial is over and counts; the next one says that the engine is gone.
        return


def _info(
    planned: PlannedTrial, found: Outcomes, readings: Readings, before: EngineCounters, after: EngineCounters
) -> TrialInfo:
    tokens = sum(call.output_tokens for record in found.records for call in record.engine_calls)
    return TrialInfo(
        planned.index,
        planned.block,
        planned.arm,
        planned.replicate,
        found.started_ns,
        found.ended_ns,
        readings,
        after.aborted - before.aborted,
        tokens,
        preemptions=after.preemptions - before.preemptions,
    )


def _ignore(record: RequestRecord) -> None:
    """Warm-up requests are not recorded."""
