"""Runs on the modelled engine in virtual time, as stored trials: what the analysis is tested on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from random import Random

from guards.generation import Generator
from guards.guard import Guard
from guards.stack import stack
from profiler.engines.modelled import ModelledEngine, Script
from profiler.engines.modelled_noise import NoiseParameters
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.load import quiet_gc
from profiler.plan import plan_trials
from profiler.prompts import Prompt
from profiler.records.record import TrialInfo
from profiler.records.store import StoredTrial, as_table
from profiler.scenario import Scenario
from profiler.trial import Workload, run_trial

NOISE = NoiseParameters(drift_spread=0.11, drift_correlation_s=8.0, jitter_spread=0.1)
# Like the embedded model on two cores.
MACHINE = ModelParameters(
    prefill_ns_per_token=2_000_000, step_base_ns=45_000_000, step_ns_per_sequence=7_000_000, chars_per_token=4.0
)
STEADY = MACHINE
GuardsOf = Callable[[ModelledEngine], Mapping[str, Sequence[Guard]]]


class ModelledBursts:
    """Slows the modelled engine by `extra` in random bursts: a `Background` whose contention is known."""

    def __init__(self, engine: ModelledEngine, extra: float, share: float = 0.1, burst_s: float = 0.1) -> None:
        self.engine, self.extra, self.burst_s = engine, extra, burst_s
        self.gap_s = burst_s * (1 - share) / share
        self.random = Random(7)
        self.done: list[tuple[int, int]] = []
        self.began_ns = 0
        self.task: asyncio.Task[None] | None = None

    def resume(self) -> None:
        self.task = asyncio.create_task(self._work())

    def pause(self) -> None:
        assert self.task is not None
        self.task.cancel()
        if self.began_ns:
            self.done.append((self.began_ns, now_ns()))
            self.began_ns = 0

    def bursts(self, since_ns: int) -> Sequence[tuple[int, int]]:
        found = [burst for burst in self.done if burst[1] > since_ns]
        return [*found, (self.began_ns, now_ns())] if self.began_ns else found

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(1 / self.gap_s))
            with ExitStack() as slow:
                slow.enter_context(self.engine.busy(self.extra))
                self.began_ns = now_ns()
                await asyncio.sleep(self.burst_s)
            self.done.append((self.began_ns, now_ns()))
            self.began_ns = 0


def modelled_run(
    scenario: Scenario,
    guards: GuardsOf,
    *,
    blocks: int = 6,
    seed: int = 1,
    parameters: ModelParameters = STEADY,
    script: Script = lambda request, index: None,
) -> list[StoredTrial]:
    """Every arm of `guards` and the baseline twice, in random order in each block."""

    async def execute() -> list[StoredTrial]:
        engine = ModelledEngine(parameters, now_ns=now_ns, seed=seed, script=script)
        arms: dict[str, Generator] = {"none": Tap(engine)}
        arms |= {name: stack(Tap(engine), list(found)) for name, found in guards(engine).items()}
        trials = []
        for planned in plan_trials(list(arms), blocks, seed):
            rng = Random(f"{seed} {planned.block}")
            prompts = tuple(
                Prompt(f"p{i}", "c", "benign", "x" * rng.randint(60, 240)) for i in range(scenario.requests_per_trial)
            )
            work = Workload(scenario, prompts, planned.block)
            found = await run_trial(
                arms[planned.arm], work, f"s{seed}t{planned.index}", watch=lambda record: None, now_ns=now_ns
            )
            info = TrialInfo(
                planned.index, planned.block, planned.arm, planned.replicate, found.started_ns, found.ended_ns
            )
            trials.append(StoredTrial(info, as_table(info, found.records)))
        return trials

    # Once for all trials: each would collect anew.
    with quiet_gc():
        return run_virtual(execute)
