"""`alignment-tax profile`: options -> validate -> start -> run -> report."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from guards.config import build_guards, open_resources
from guards.generation import EngineDied
from profiler.engines.embedded import EMBEDDED_NAME, HUB_NAME
from profiler.engines.vllm_args import check_engine_settings, installed_vllm, prepare_environment
from profiler.engines.vllm_engine import VllmEngine
from profiler.engines.vllm_host import VllmHost
from profiler.engines.weights import Weights, find_weights
from profiler.experiment import Bench, Experiment
from profiler.machine import cpu_name, git_commit, machine, versions
from profiler.meters.energy import NotMeasured, find_energy_meter
from profiler.meters.memory import MemoryMeter
from profiler.meters.throttle import find_throttle_meter
from profiler.prompts import PromptSets, read_prompt_sets, trace_note
from profiler.records.store import create_run, write_ending
from profiler.report.progress import RunProgress
from profiler.scenario import Scenario


@dataclass(frozen=True)
class Options:
    """What the user asked for. `where` names the scenario's file in messages."""

    scenario: Scenario
    where: str
    out: Path


@dataclass(frozen=True)
class Finished:
    """Where the run lies, and why it stopped early if it did."""

    run: Path
    stopped: str | None


async def profile(options: Options, console: Console) -> Finished:
    """Run a scenario on vLLM. What was finished is stored whatever happens.

    Raises:
        UserError: something in the scenario, the model or the machine is the user's to cure.
    """
    scenario = options.scenario
    sets = read_prompt_sets(scenario)
    if note := trace_note(scenario, sets):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    prepare_environment()
    installed_vllm()
    check_engine_settings(scenario.engine, options.where)
    async with AsyncExitStack() as resources:
        bench = await resources.enter_async_context(open_bench(scenario, options.where, console))
        run_id = f"{scenario.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        run = create_run(options.out, run_id, {"id": run_id, **manifest(scenario, sets, bench)})
        stopped = await execute(Experiment(scenario, sets, bench, run), console)
    return Finished(run, stopped)


async def execute(experiment: Experiment, console: Console) -> str | None:
    """Run to the end and store why it ended; the reason if it stopped before."""
    return await until_stopped(_watched(experiment, console), experiment.run)


async def until_stopped(work: Coroutine[Any, Any, str], run: Path) -> str | None:
    """Do the work, which returns why it ended, and store that; the reason if it was stopped before."""
    running = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    # One Ctrl-C ends the trial under way in order; requests in flight are aborted in the engine.
    loop.add_signal_handler(signal.SIGINT, running.cancel)
    loop.add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        ending, stopped = await running, None
    except asyncio.CancelledError:
        ending = stopped = "interrupted"
    except EngineDied as error:
        ending = stopped = str(error)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
    write_ending(run, ending)
    return stopped


async def _watched(experiment: Experiment, console: Console) -> str:
    scenario = experiment.scenario
    blocks = scenario.blocks if scenario.until is None else None
    trials = trials_per_block(scenario)
    with RunProgress(console, trials, blocks, scenario.requests_per_trial) as progress:
        return await experiment.execute(progress)


def trials_per_block(scenario: Scenario) -> int:
    """Every arm once, and the baseline again."""
    return len(scenario.stacks()) + 1


@asynccontextmanager
async def open_bench(scenario: Scenario, where: str, console: Console) -> AsyncIterator[Bench]:
    """Engine, guards and meters, started; stopped again in the end.

    Raises:
        UserError: the model or the engine arguments are no good.
    """
    weights = _weights(scenario, console)
    async with AsyncExitStack() as resources:
        # Before the engine, which takes long to start: a guard that cannot be loaded is said at once.
        host = await resources.enter_async_context(VllmHost(weights, where, partial(_tell, console)))
        started = await resources.enter_async_context(open_resources(scenario.guards.values(), host))
        guards = build_guards(scenario.guards, started)
        _tell(console, f"starting vLLM with {weights.model}")
        engine = await VllmEngine.start(
            weights.model, weights.settings, where=where, caches=(host.reset_prefix_caches,)
        )
        resources.push_async_callback(engine.close)
        host.serve(engine)
        memory = MemoryMeter()
        resources.callback(memory.close)
        yield Bench(engine, guards, memory, find_energy_meter(), find_throttle_meter())


def _tell(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _weights(scenario: Scenario, console: Console) -> Weights:
    """What the generator runs on."""
    if scenario.model == EMBEDDED_NAME:
        console.print(f"model: {HUB_NAME} (embedded); the first use converts it, about half a minute", highlight=False)
    return find_weights(scenario.model, {"seed": scenario.seed, **scenario.engine})


def manifest(scenario: Scenario, sets: PromptSets, bench: Bench) -> dict[str, Any]:
    """What `run.json` says of a run: scenario, facts, machine, versions, what is not measured and why."""
    energy = bench.energy
    facts = dict(bench.engine.facts)
    device = cpu_name() if facts["device"] == "cpu" else facts["device"]
    if scenario.model == EMBEDDED_NAME:
        facts["model"] = HUB_NAME
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "facts": {**facts, "device_name": device, "scenario": scenario.name},
        "scenario": scenario.model_dump(mode="json"),
        "arms": list(scenario.stacks()),
        "stacks": {arm: list(guards) for arm, guards in scenario.stacks().items()},
        **({} if scenario.until else {"planned_trials": scenario.blocks * trials_per_block(scenario)}),
        "prompts": {label: len(prompts) for label, prompts in sets.by_label.items()},
        "machine": machine(),
        "versions": versions(),
        "git_commit": git_commit(),
        "energy_source": None if isinstance(energy, NotMeasured) else energy.source,
        "not_measured": {
            name: meter.why
            for name, meter in (("energy", energy), ("throttling", bench.throttle))
            if isinstance(meter, NotMeasured)
        },
    }
