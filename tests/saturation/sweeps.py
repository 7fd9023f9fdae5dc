"""Sweeps of a modelled engine in virtual time, stored as real ones are."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from guards.guard import Guard
from guards.stack import stack
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import InlineThreadsLoop, now_ns, run_virtual
from profiler.experiment import Bench
from profiler.meters.meters import Meters
from profiler.prompts import read_prompt_sets
from profiler.records.store import create_run, read_run
from profiler.saturation.probe import Goal, Probe
from profiler.saturation.result import KIND, SaturationResult, goal_record, saturation_result
from profiler.saturation.sweep import Sweep
from profiler.scenario import BASELINE, OutputConfig, Scenario, SloConfig, load_scenario

ROOT = Path(__file__).parents[2]
SERVICE_MS = 10.0
ONE_AT_A_TIME = ModelParameters(prefill_ns_per_token=0, step_base_ns=9_999_000, step_ns_per_sequence=0, max_num_seqs=1)
"""An M/D/1 queue: a request of one token takes a step of 10 ms (with the microsecond of scheduling)."""


def scenario(slo: SloConfig, *arms: str) -> Scenario:
    """The quickstart's prompts, one token an answer."""
    quickstart = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    output = OutputConfig(length="fixed", max_tokens=1)
    return quickstart.model_copy(update={"output": output, "slo": slo, "arms": {arm: [] for arm in arms}})


def sweep(
    run: Path,
    goal: Goal,
    guards: Mapping[str, Sequence[Guard]],
    machine: ModelParameters = ONE_AT_A_TIME,
    told: Callable[[Probe], None] = lambda probe: None,
    meters: Meters | None = None,
) -> Path:
    """Run a sweep of the baseline and of `guards`, whose probes `meters` sample; the folder of the run."""
    what = scenario(goal.slo, *guards)
    manifest = {
        "id": "sweep",
        "kind": KIND,
        "facts": {"model": "m", "engine": "modelled", "vllm_version": "-", "device_name": "none"},
        "scenario": what.model_dump(mode="json"),
        "arms": [BASELINE, *guards],
        KIND: goal_record(goal),
    }
    folder = create_run(run, "sweep", manifest)

    async def execute() -> None:
        engine = ModelledEngine(machine, now_ns=now_ns)
        stacks = {arm: stack(Tap(engine), mine) for arm, mine in {BASELINE: (), **guards}.items()}
        metered = None if meters is None else Bench(engine, {}, meters)
        await Sweep(what, read_prompt_sets(what), goal, engine, stacks, folder, now_ns, metered).execute(told)

    run_virtual(execute, InlineThreadsLoop)
    return folder


def swept(folder: Path) -> SaturationResult:
    """What the stored sweep says."""
    return saturation_result(read_run(folder))
