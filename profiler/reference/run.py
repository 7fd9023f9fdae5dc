"""Runs the parts one after another, an engine for those that share one, until they are done or time is up."""

import asyncio
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from profiler.engines.vllm_args import check_engine_settings, installed_vllm, prepare_environment
from profiler.experiment import ALL_DONE, Bench, Experiment, stacks_of
from profiler.plan import trials_per_block
from profiler.profile import INTERRUPTED, execute, manifest, open_bench, prompt_sets
from profiler.prompts import PromptSets
from profiler.records.record import RequestRecord
from profiler.records.samples import IDLE
from profiler.records.store import create_run, write_ending
from profiler.reference.compact import compacted
from profiler.reference.parts import Part, by_scenario, for_part, scenario_of
from profiler.scenario import BASELINE, ClosedLoad, Scenario
from profiler.trial import Workload, run_trial

ROOT = Path(__file__).parents[2]
OUT_OF_TIME = "out of time"
_REPORT_S = 20.0
_IDLE_S = 15.0
_SLOW = 1.5  # a guarded trial over the baseline's, on the whole
_WAVES = 3


@dataclass(frozen=True)
class Plan:
    """`raw` takes the runs as they are stored, `out` the compacted ones. Nothing is begun that ends after `until_s`."""

    parts: tuple[Part, ...]
    out: Path
    raw: Path
    seconds: float
    blocks: int
    until_s: float
    dry: bool = False
    again: bool = False


@dataclass(frozen=True)
class _Place:
    """What the parts of one engine share."""

    scenario: Scenario
    sets: PromptSets
    bench: Bench


def is_done(out: Path, part: Part) -> bool:
    """Whether a part lies there whole, of an earlier call."""
    try:
        ending = json.loads((out / part.name / "ending.json").read_text(encoding="utf-8"))["ending"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(ending == ALL_DONE)


async def run_parts(plan: Plan, console: Console) -> dict[str, str]:
    """Why each part was not run to its end; empty if all were. What was finished is stored whatever happens.

    Raises:
        UserError: the model or the machine is the user's to cure.
    """
    missing: dict[str, str] = {}
    left = [part for part in plan.parts if plan.again or not is_done(plan.out, part)]
    for name, parts in by_scenario(left).items():
        if INTERRUPTED in missing.values() or _left_s(plan) < _least_s(plan, parts[0]):
            why = INTERRUPTED if INTERRUPTED in missing.values() else OUT_OF_TIME
            missing |= dict.fromkeys((part.name for part in parts), why)
            continue
        scenario = scenario_of(name, dry=plan.dry)
        prepare_environment()
        installed_vllm()
        check_engine_settings(scenario.engine, name)
        sets = prompt_sets(scenario, console)
        async with open_bench(scenario, name, console) as bench:
            missing |= await _parts_on(_Place(scenario, sets, bench), parts, plan, console)
    return missing


async def _parts_on(place: _Place, parts: Sequence[Part], plan: Plan, console: Console) -> Mapping[str, str]:
    missing: dict[str, str] = {}
    idle: Path | None = None
    for part in parts:
        if _left_s(plan) < _least_s(plan, part, idle=idle is None):
            missing[part.name] = OUT_OF_TIME
            continue
        _say(console, f"{part.name}: pilot")
        pilot_hz = await pilot(place, part, 1 if plan.dry else _WAVES)
        scenario = for_part(place.scenario, part, pilot_hz, plan.seconds, plan.blocks, idle=idle is None)
        _say(console, f"{part.name}: {pilot_hz:.2f} requests/s in the pilot, {scenario.requests_per_trial} a trial")
        run = _created(replace(place, scenario=scenario), plan, part)
        if idle is not None:
            shutil.copy(idle, run / IDLE)
        stopped = await _until(plan, Experiment(scenario, place.sets, place.bench, run), console)
        if idle is None and (run / IDLE).is_file():
            idle = run / IDLE
        await asyncio.to_thread(compacted, run, plan.out / part.name, ROOT)
        if stopped:
            missing[part.name] = stopped
            if stopped != OUT_OF_TIME:  # interrupted, or the engine is gone
                return {**dict.fromkeys((p.name for p in parts[parts.index(part) :]), stopped), **missing}
    return missing


async def pilot(place: _Place, part: Part, waves: int) -> float:
    """Requests a second that the baseline answers to the part's users, `waves` each; nothing is recorded."""
    users = part.pilot_users
    scenario = place.scenario.model_copy(update={"requests_per_trial": waves * users})
    work = replace(Workload.draw(scenario, place.sets, 0), load=ClosedLoad(kind="closed", users=users))
    generator = stacks_of(scenario, place.bench)[BASELINE]
    found = await run_trial(generator, work, f"pilot-{part.name}", watch=_ignore)
    await place.bench.engine.reset_prefix_cache()
    return len(found.records) / ((found.ended_ns - found.started_ns) / 1e9)


def _created(place: _Place, plan: Plan, part: Part) -> Path:
    run_id = f"reference-{part.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    notes = {"part": part.name, "dry_run": plan.dry}
    return create_run(plan.raw, run_id, {"id": run_id, **manifest(place.scenario, place.sets, place.bench), **notes})


async def _until(plan: Plan, experiment: Experiment, console: Console) -> str:
    """Run to the end, or until time is up; why it stopped, empty if it did not."""
    stopped: str | None = None
    async with asyncio.timeout(max(_left_s(plan), 1.0)) as limit:
        stopped = await execute(experiment, console)
    if limit.expired():
        write_ending(experiment.run, OUT_OF_TIME)
        return OUT_OF_TIME
    return stopped or ""


def _left_s(plan: Plan) -> float:
    return plan.until_s - _REPORT_S - time.monotonic()


def _least_s(plan: Plan, part: Part, *, idle: bool = True) -> float:
    """How long a part takes, about, once its engine runs."""
    scenario = scenario_of(part.scenario, dry=plan.dry)
    arms = part.arms or tuple(scenario.arms)
    trials = trials_per_block((BASELINE, *arms))
    return trials * plan.blocks * plan.seconds * _SLOW + (_IDLE_S if idle and not plan.dry else 0.0)


def _ignore(record: RequestRecord) -> None:
    """A pilot's requests are not kept."""


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
