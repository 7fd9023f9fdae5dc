"""`alignment-tax profile`: options -> validate -> start -> run -> report."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from guards.config import build_guards, open_resources, placements
from guards.generation import EngineDied
from profiler.dedicated import Dedicated, Room
from profiler.engines.embedded import EMBEDDED_NAME, HUB_NAME
from profiler.engines.vllm_args import check_engine_settings, installed_vllm, prepare_environment
from profiler.engines.vllm_engine import VllmEngine
from profiler.engines.vllm_host import VllmHost
from profiler.engines.weights import Weights, find_weights
from profiler.errors import UserError
from profiler.experiment import Bench, Experiment
from profiler.extras import extras
from profiler.judging import JUDGE, Judge, embedded_judge
from profiler.machine import cpu_name, git_commit, machine, versions
from profiler.meters.meters import open_meters
from profiler.plan import trials_per_block
from profiler.prompts import PromptSets, read_prompt_sets, trace_note
from profiler.records.lock import held
from profiler.records.store import create_run, write_ending
from profiler.report.live.choose import observer
from profiler.report.live.outline import outline_of
from profiler.report.text import printable
from profiler.scenario import Scenario
from profiler.traces.run import engine_settings

INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Options:
    """What the user asked for. `where` names the scenario's file in messages; `notes` go into the manifest.

    `stacks`, `trace`: record one more trial an arm under py-spy, some requests under torch's profiler.
    """

    scenario: Scenario
    where: str
    out: Path
    notes: Mapping[str, Any] = field(default_factory=dict)
    stacks: bool = False
    trace: bool = False


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
    sets = prompt_sets(scenario, console)
    prepare_environment()
    installed_vllm()
    check_engine_settings(scenario.engine, options.where)
    if scenario.isolation == "dedicated":
        return await _dedicated(options, sets, console)
    async with AsyncExitStack() as resources:
        scratch = Path(resources.enter_context(TemporaryDirectory())) if options.trace else None
        traced = {} if scratch is None else engine_settings(scratch)
        bench = await resources.enter_async_context(open_bench(scenario, options.where, console, traced))
        run = await asyncio.to_thread(_new_run, options, sets, bench)
        resources.enter_context(held(run))
        experiment = Experiment(scenario, sets, bench, run)
        stopped = await execute(experiment, console)
        if (options.stacks or options.trace) and stopped is None:
            stopped = await until_stopped(extras(experiment, options.stacks, scratch, console), run)
    return Finished(run, stopped)


async def _dedicated(options: Options, sets: PromptSets, console: Console) -> Finished:
    """The same with an engine for every arm."""
    scenario = options.scenario
    if options.stacks or options.trace:
        raise UserError("--stacks, --trace: record every arm on one engine: they take `isolation: shared`")
    if scenario.until is not None:
        raise UserError("--until: needs blocks of all arms, which `isolation: dedicated` does not have: use --blocks")
    dedicated = Dedicated(
        scenario, sets, options.where, lambda alone, room: open_bench(alone, options.where, console, room=room)
    )
    async with AsyncExitStack() as first:
        bench = await first.enter_async_context(dedicated.baseline())
        dedicated.pool(bench)  # a run that cannot be is none
        run = await asyncio.to_thread(_new_run, options, sets, bench)
        with held(run), observer(console, outline_of(scenario, run, bench.meters.not_measured)) as told:
            stopped = await until_stopped(dedicated.execute(run, bench, first.aclose, told), run)
    return Finished(run, stopped)


def _new_run(options: Options, sets: PromptSets, bench: Bench) -> Path:
    run_id = f"{options.scenario.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    said = {"id": run_id, **manifest(options.scenario, sets, bench), **options.notes}
    return create_run(options.out, run_id, said)


def prompt_sets(scenario: Scenario, console: Console) -> PromptSets:
    """Read the scenario's prompts and trace, and print what should be known of them.

    Raises:
        UserError: as `read_prompt_sets`.
    """
    sets = read_prompt_sets(scenario)
    for note in (*sets.notes, trace_note(scenario, sets)):
        if note:
            console.print(printable(note), highlight=False, markup=False, soft_wrap=True)
    return sets


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
        ending = stopped = INTERRUPTED
    except EngineDied as error:
        ending = stopped = str(error)
    except UserError as error:
        write_ending(run, str(error))
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
    await asyncio.to_thread(write_ending, run, ending, stopped is None)
    return stopped


async def _watched(experiment: Experiment, console: Console) -> str:
    found = outline_of(
        experiment.scenario, experiment.run, experiment.bench.meters.not_measured, len(experiment.finished)
    )
    with observer(console, found) as told:
        return await experiment.execute(told)


@asynccontextmanager
async def open_bench(
    scenario: Scenario,
    where: str,
    console: Console,
    more: Mapping[str, Any] | None = None,
    room: Room | None = None,
) -> AsyncIterator[Bench]:
    """Engine, guards and meters, started; stopped again in the end. `more`: engine arguments beside the scenario's.

    `room` says, once the guards are there, what they leave for the engine.

    Raises:
        UserError: the model or the engine arguments are no good.
    """
    weights = _weights(scenario, console)
    async with AsyncExitStack() as resources:
        # Before the engine, which takes long to start: a guard that cannot be loaded is said at once.
        if room is not None:
            await room.empty()
        host = await resources.enter_async_context(VllmHost(weights, where, partial(_tell, console)))
        started = await resources.enter_async_context(open_resources(scenario.guards.values(), (), host))
        guards = build_guards(scenario.guards, started, enforced=scenario.verdicts == "enforced")
        left = {} if room is None else await room.settings(guards)
        guarding = {child.pid for child in active_children()}
        judge = await resources.enter_async_context(_open_judge()) if scenario.judge_answers else None
        judging = frozenset(child.pid for child in active_children() if child.pid and child.pid not in guarding)
        _tell(console, f"starting vLLM with {weights.model}")
        settings = {**(more or {}), **weights.settings, **left}
        engine = await VllmEngine.start(weights.model, settings, where=where, caches=(host.reset_prefix_caches,))
        resources.push_async_callback(engine.close)
        host.serve(engine)
        yield Bench(engine, guards, resources.enter_context(open_meters()), judge, judging)


@asynccontextmanager
async def _open_judge() -> AsyncIterator[Judge]:
    """The judge in a process of its own, so that no guard's CPU time or memory has it in."""
    async with open_resources((), (JUDGE,)) as started:
        yield embedded_judge(started.scorer(JUDGE))


def _tell(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _weights(scenario: Scenario, console: Console) -> Weights:
    """What the generator runs on."""
    if scenario.model == EMBEDDED_NAME:
        console.print(f"model: {HUB_NAME} (embedded); the first use converts it, about half a minute", highlight=False)
    return find_weights(scenario.model, {"seed": scenario.seed, **scenario.engine})


def manifest(scenario: Scenario, sets: PromptSets, bench: Bench) -> dict[str, Any]:
    """What `run.json` says of a run: scenario, facts, machine, versions, what is not measured and why."""
    facts = dict(bench.engine.facts)
    device = cpu_name() if facts["device"] == "cpu" else facts["device"]
    if scenario.model == EMBEDDED_NAME:
        facts["model"] = HUB_NAME
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "facts": {**facts, "device_name": device, "scenario": scenario.name},
        "scenario": scenario.model_dump(mode="json"),
        "arms": list(scenario.stacks()),
        "placements": placements(scenario.guards, str(bench.engine.facts["device"])),
        "stacks": {arm: list(guards) for arm, guards in scenario.stacks().items()},
        **({} if scenario.until else {"planned_trials": scenario.blocks * trials_per_block(list(scenario.stacks()))}),
        "prompts": {label: len(prompts) for label, prompts in sets.by_label.items()},
        "prompts_sha256": sets.sha256,
        "prompt_notes": list(sets.notes),
        "machine": machine(),
        "versions": versions(),
        "git_commit": git_commit(),
        "judge": None if bench.judge is None else dict(bench.judge.facts),
        "meters": bench.meters.facts(),
        "not_measured": dict(bench.meters.not_measured),
    }
