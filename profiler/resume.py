"""`alignment-tax profile --resume RUN`: check that run and machine are as they were, then run what is missing."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from profiler.engines.vllm_args import check_engine_settings, installed_vllm, prepare_environment
from profiler.errors import UserError
from profiler.experiment import Bench, Experiment
from profiler.extras import extras
from profiler.machine import machine, versions
from profiler.profile import Finished, execute, manifest, open_bench, prompt_sets, until_stopped
from profiler.prompts import PromptSets
from profiler.records.lock import held
from profiler.records.store import MANIFEST, write_resumed
from profiler.report.text import printable
from profiler.traces.run import engine_settings
from profiler.unfinished import Unfinished, differences, unfinished


@dataclass(frozen=True)
class Resume:
    """What the user asked for. `model` must be the run's own, unless `force`; so must machine and versions."""

    run: Path
    model: str | None = None
    force: bool = False
    stacks: bool = False
    trace: bool = False


async def resume(asked: Resume, console: Console) -> Finished:
    """Run a stored run's missing trials on vLLM; those that are whole are never run again.

    Raises:
        UserError: the run, the machine or the software is not as it was, or another process is at it.
    """
    found = unfinished(asked.run)
    with held(found.run):
        found = unfinished(asked.run)  # now that nobody else writes
        _refuse(asked, _differ_before(found, asked.model))
        if ending := found.ending():
            console.print(f"nothing is left to run: {printable(ending)}", highlight=False, markup=False)
            return Finished(found.run, None)
        return await _resumed(found, asked, console)


async def _resumed(found: Unfinished, asked: Resume, console: Console) -> Finished:
    scenario = found.scenario if asked.model is None else found.scenario.model_copy(update={"model": asked.model})
    where = str(found.run / MANIFEST)
    sets = prompt_sets(scenario, console)
    _refuse(asked, differences(found.stored.manifest, {"prompts_sha256": sets.sha256}))
    prepare_environment()
    installed_vllm()
    check_engine_settings(scenario.engine, where)
    async with AsyncExitStack() as resources:
        scratch = Path(resources.enter_context(TemporaryDirectory())) if asked.trace else None
        traced = {} if scratch is None else engine_settings(scratch)
        bench = await resources.enter_async_context(open_bench(scenario, where, console, traced))
        now = manifest(scenario, sets, bench)
        _refuse(asked, differences(found.stored.manifest, now))
        experiment = await going_on(found, sets, bench, now)
        _say(found, console)
        stopped = await execute(experiment, console)
        if (asked.stacks or asked.trace) and stopped is None:
            stopped = await until_stopped(extras(experiment, asked.stacks, scratch, console), found.run)
    return Finished(found.run, stopped)


async def going_on(found: Unfinished, sets: PromptSets, bench: Bench, now: Mapping[str, Any]) -> Experiment:
    """The experiment of what is missing; the run's folder is put in order, and says what differs by `now`.

    Raises:
        UserError: the folder is not writable.
    """
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "finished_trials": len(found.finished),
        "differs": differences(found.stored.manifest, now),
    }
    try:
        await asyncio.to_thread(found.tidy)
    except OSError as error:
        raise UserError(f"{found.run}: cannot be written ({error}): free some space") from error
    await asyncio.to_thread(write_resumed, found.run, facts)
    return Experiment(found.scenario, sets, bench, found.run, found.finished)


def _differ_before(found: Unfinished, model: str | None) -> list[str]:
    """What can be told before the engine is started, which takes long."""
    now = {"machine": machine(), "versions": versions()}
    same = model is None or model == found.scenario.model
    another = [] if same else [f"model: was {found.scenario.model}, is {model}"]
    return another + differences(found.stored.manifest, now)


def _refuse(asked: Resume, differ: Sequence[str]) -> None:
    if differ and not asked.force:
        raise UserError(f"{asked.run}: not as it was when the run began: {'; '.join(differ)}: add --force to go on")


def _say(found: Unfinished, console: Console) -> None:
    line = f"going on with {printable(found.run)}: {len(found.finished)} trials are finished"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    for what in found.stored.damaged:
        console.print(f"run again, since damaged: {printable(what)}", highlight=False, markup=False, soft_wrap=True)
