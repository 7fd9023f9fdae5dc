"""A calibration run on the modelled engine, in virtual time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from guards.controls import Doubler, WhileServing
from guards.generation import Generator
from guards.guard import Guard
from guards.stack import stack
from profiler.calibration.controls import ModelledBursts, SpreadChunkDelay, SpreadDelay
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_noise import NoiseParameters
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.load import quiet_gc
from profiler.plan import PlannedTrial, plan_trials
from profiler.prompts import PromptSets
from profiler.records.record import RequestRecord, TrialInfo
from profiler.records.store import StoredTrial, as_table
from profiler.scenario import BASELINE, Scenario
from profiler.trial import Workload, run_trial

NOISE = NoiseParameters(drift_spread=0.11, drift_correlation_s=4.0, jitter_spread=0.4)
"""A shared machine: over seven minutes of steady decoding the token rate spreads by 16, 11, 8 and 4 % over windows
of 1, 4, 15 and 60 s (20 simulated paths); measured on two cores with the real engine: 17, 11, 8 and 3 %."""
MACHINE = ModelParameters(
    prefill_ns_per_token=2_000_000, step_base_ns=45_000_000, step_ns_per_sequence=7_500_000, noise=NOISE
)
"""The embedded model on two cores."""
NULL, DELAY, CHUNK_DELAY, BURNER, DOUBLER, SMALL = "null", "delay", "chunk-delay", "burner", "doubler", "ttft+5%"


@dataclass(frozen=True)
class Setting:
    """What every repeat has in common. `small_ms` is the delay of the power's control, 0 without it.

    The burner works `burner_share` of the time and makes a step take `1 + burner_extra` times as long.
    """

    scenario: Scenario
    sets: PromptSets
    delay_ms: float = 20.0
    chunk_delay_ms: float = 5.0
    burner_share: float = 0.1
    burner_extra: float = 0.6
    burst_s: float = 0.1
    small_ms: float = 0.0
    machine: ModelParameters = MACHINE

    @property
    def slowness(self) -> float:
        """How much longer a step takes on average with the noise: the mean of 1 / speed, log-normal."""
        noise = self.machine.noise
        return math.exp((noise.drift_spread**2 + noise.jitter_spread**2) / 2)

    def without_noise(self) -> "Setting":
        """The same on a steady machine."""
        return replace(self, machine=replace(self.machine, noise=NoiseParameters()))


def modelled_run(setting: Setting, seed: int, only: Sequence[str] | None = None) -> list[StoredTrial]:
    """Baseline twice and every control, or those of `only`, in random order in each block.

    `seed` draws everything anew: prompts, order, noise, delays, bursts.
    """
    scenario = setting.scenario.model_copy(update={"seed": seed})

    async def execute() -> list[StoredTrial]:
        engine = ModelledEngine(setting.machine, seed=seed, now_ns=now_ns)
        stacks: dict[str, Generator] = {BASELINE: Tap(engine)}
        for arm, guards in _controls(setting, engine, seed).items():
            if only is None or arm in only:
                stacks[arm] = stack(Tap(engine), guards)
        works = [Workload.draw(scenario, setting.sets, block) for block in range(scenario.blocks)]
        plan = plan_trials(list(stacks), scenario.blocks, seed)
        return [await _trial(planned, stacks[planned.arm], works[planned.block]) for planned in plan]

    # Once for all trials: each would collect anew.
    with quiet_gc():
        return run_virtual(execute)


def _controls(setting: Setting, engine: ModelledEngine, seed: int) -> Mapping[str, Sequence[Guard]]:
    bursts = ModelledBursts(engine, setting.burner_extra, setting.burner_share, setting.burst_s, f"{seed} bursts")
    found: dict[str, Sequence[Guard]] = {
        NULL: (),
        DELAY: (SpreadDelay(setting.delay_ms, f"{seed} delay"),),
        CHUNK_DELAY: (SpreadChunkDelay(setting.chunk_delay_ms, f"{seed} chunk"),),
        BURNER: (WhileServing(bursts),),
        DOUBLER: (Doubler(),),
    }
    return found | ({SMALL: (SpreadDelay(setting.small_ms, f"{seed} small"),)} if setting.small_ms else {})


async def _trial(planned: PlannedTrial, generator: Generator, work: Workload) -> StoredTrial:
    found = await run_trial(generator, work, f"t{planned.index}", watch=_ignore, now_ns=now_ns)
    info = TrialInfo(planned.index, planned.block, planned.arm, planned.replicate, found.started_ns, found.ended_ns)
    return StoredTrial(info, as_table(info, found.records))


def _ignore(record: RequestRecord) -> None:
    """Nobody watches."""
