"""The sweep: round by round, each arm gets its next probe, in random order, over the same requests."""

import asyncio
import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from guards.generation import Generator
from profiler.analysis.backlog import BacklogWatch
from profiler.analysis.goodput import fewest_requests
from profiler.analysis.resources import readings_of
from profiler.engines.engine import Engine
from profiler.experiment import Bench, warm_up
from profiler.load import quiet_gc, schedule
from profiler.prompts import PromptSets
from profiler.records.record import Readings, RequestRecord, TrialInfo
from profiler.records.store import StoredTrial, as_table, write_stored
from profiler.saturation.probe import RAMP_SHARE, Goal, Probe, probe_of
from profiler.saturation.search import next_rate_hz
from profiler.scenario import ClosedLoad, PoissonLoad, Scenario
from profiler.trial import Outcomes, Stop, Workload, run_trial

ALL_DONE = "every arm's search is over"
_USERS = 8
_ROUNDS_OF_USERS = 4
# A few requests may miss the objectives and the rest still show that enough met them.
_SPARE = 1.2
_DRAIN_S, _DRAIN_LOOK_S = 60.0, 0.02


@dataclass(frozen=True)
class Sweep:
    """One sweep of the arms in `stacks`, stored in the folder `run` probe by probe.

    `metered` is whose meters sample each probe, from its first request until the engine has nothing left to do.
    """

    scenario: Scenario
    sets: PromptSets
    goal: Goal
    engine: Engine
    stacks: Mapping[str, Generator]
    run: Path
    now_ns: Callable[[], int] = time.monotonic_ns
    metered: Bench | None = None

    async def execute(self, told: Callable[[Probe], None]) -> str:
        """Warm up, then probe until no arm's search goes on; returns why it ended. `told` gets each probe.

        Raises:
            EngineDied: the engine is gone; what was stored stays.
            UserError: a probe could not be stored.
        """
        await warm_up(self.scenario, self.sets, self.stacks, self.now_ns)
        # Once for the whole sweep: what lives by now is never looked at again.
        with quiet_gc():
            await self._rounds(told)
        return ALL_DONE

    async def _rounds(self, told: Callable[[Probe], None]) -> None:
        probes: dict[str, list[Probe]] = {arm: [] for arm in self.stacks}
        round_ = stored = 0
        while due := self._due(probes):
            for place in np.random.default_rng([self.scenario.seed, round_, 11]).permutation(len(due)).tolist():
                arm, rate_hz = due[place]
                probe = await self._probe(TrialInfo(stored, round_, arm, 0, 0, 0, rate_hz=rate_hz))
                probes[arm].append(probe)
                told(probe)
                stored += 1
            round_ += 1

    def _due(self, probes: Mapping[str, Sequence[Probe]]) -> list[tuple[str, float | None]]:
        """The arms whose search goes on, each with its next rate; None is the closed loop, which comes first."""
        if not any(probes.values()):
            return [(arm, None) for arm in probes]
        rates = {arm: next_rate_hz(mine, self.goal) for arm, mine in probes.items()}
        return [(arm, rate) for arm, rate in rates.items() if rate is not None]

    async def _probe(self, planned: TrialInfo) -> Probe:
        await self._drained()
        await self.engine.reset_prefix_cache()
        gc.collect()  # only what the probes since the start have left
        before = self.engine.counters()
        if self.metered is not None:
            await asyncio.to_thread(self.metered.meters.begin, self.metered.roles())
        found = await self._trial(planned)
        await self._drained()
        samples = None
        if self.metered is not None:
            samples = await asyncio.to_thread(self.metered.meters.end, self.metered.roles())
        after = self.engine.counters()
        info = replace(
            planned,
            started_ns=found.started_ns,
            ended_ns=found.ended_ns,
            readings=Readings() if samples is None else readings_of(samples),
            aborted_requests=after.aborted - before.aborted,
            engine_tokens=sum(call.output_tokens for record in found.records for call in record.engine_calls),
            stopped=found.stopped,
        )
        trial = StoredTrial(info, as_table(info, found.records), samples)
        await asyncio.to_thread(write_stored, self.run, trial)
        return probe_of(trial, self.goal)

    async def _trial(self, planned: TrialInfo) -> Outcomes:
        work = self._work(planned.block, planned.rate_hz)
        stop = _never if planned.rate_hz is None else _when_over_saturated(self.now_ns)
        generator, tag = self.stacks[planned.arm], f"s{planned.index}"
        return await run_trial(generator, work, tag, watch=_ignore, now_ns=self.now_ns, stop=stop)

    def _work(self, round_: int, rate_hz: float | None) -> Workload:
        """The round's requests: a smaller number of them has other prompts, never another seed."""
        load = self.scenario.load
        users = load.users if isinstance(load, ClosedLoad) else _USERS
        n = _ROUNDS_OF_USERS * users if rate_hz is None else requests_of(self.goal, rate_hz)
        work = Workload.draw(self.scenario.model_copy(update={"requests_per_trial": n}), self.sets, round_)
        if rate_hz is None:
            return replace(work, load=ClosedLoad(kind="closed", users=users))
        return work.at_rate(rate_hz * _gaps_mean(work, n))

    async def _drained(self) -> None:
        """Wait until the engine has nothing to do: what was aborted may hold a seat for a step more."""
        until_ns = self.now_ns() + round(_DRAIN_S * 1e9)
        # Nobody is told when an engine has become idle.
        while (now := self.engine.counters()).running + now.waiting and self.now_ns() < until_ns:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_LOOK_S)


def requests_of(goal: Goal, rate_hz: float) -> int:
    """How many requests a probe sends: for `probe_seconds`, and enough to show that the objectives hold."""
    counted = max(rate_hz * goal.probe_seconds, _SPARE * fewest_requests(goal.good_fraction))
    return math.ceil(counted / (1 - RAMP_SHARE))


def _gaps_mean(work: Workload, n: int) -> float:
    """The mean of the block's random gaps, whose expectation is 1.

    Arrivals at `rate * mean` last n / rate as a whole, as vLLM bench's do: n random gaps are off by a share of
    1 / sqrt(n), which is more than what is to be resolved.
    """
    unit = schedule(PoissonLoad(kind="poisson", rate_hz=1.0), n, seed=work.scenario.seed, block=work.block)
    return float(unit[-1]) / 1e9 / n


def _when_over_saturated(now_ns: Callable[[], int]) -> Stop:
    watch, start_ns = BacklogWatch(), now_ns()

    def stop(done: Sequence[RequestRecord], in_flight: int) -> str:
        seen = watch.note((now_ns() - start_ns) / 1e9, len(done), in_flight)
        if seen is None or not seen.significant:
            return ""
        return f"over-saturated: {in_flight} requests in flight, {seen.rate_hz:.2g} more every second"

    return stop


def _never(done: Sequence[RequestRecord], in_flight: int) -> str:
    return ""


def _ignore(record: RequestRecord) -> None:
    """A probe is reported when it is over."""
