"""`--stacks`: after the measured blocks, one more trial an arm under py-spy; none of its latencies is kept.

results/<run id>/stacks/<arm number>-<arm>/<process>.speedscope.json   as py-spy wrote it
results/<run id>/stacks/<arm number>-<arm>/flame.svg                   all its processes in one
results/<run id>/stacks.json                                           seconds by process and part
"""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiler.experiment import Experiment, stacks_of
from profiler.meters.not_measured import NotMeasured
from profiler.meters.roles import Role
from profiler.records.record import RequestRecord
from profiler.stacks.flame import flame_graph
from profiler.stacks.modules import by_part, waits
from profiler.stacks.speedscope import NotSpeedscope, read_stacks
from profiler.stacks.spy import RATE_HZ, recorded, spying_right
from profiler.trial import Workload, run_trial

_FILE = "stacks.json"


@dataclass(frozen=True)
class ArmStacks:
    """Host seconds of one arm's recorded trial by process and part; `requests` were answered in it.

    `missing` says of each process that was not recorded why.
    """

    arm: str
    requests: int
    seconds: Mapping[str, Mapping[str, float]]
    missing: Mapping[str, str]
    folder: str


async def record_stacks(experiment: Experiment) -> NotMeasured | None:
    """Run one recorded trial an arm and keep what was seen; why not, where py-spy may not look.

    Raises:
        EngineDied: the engine is gone.
    """
    if (why := await spying_right()) is not None:
        return why
    found = []
    for number, (arm, generator) in enumerate(stacks_of(experiment.scenario, experiment.bench).items()):
        folder = arm_folder(experiment.run, number, arm)
        await asyncio.to_thread(folder.mkdir, parents=True)
        work = Workload.draw(experiment.scenario, experiment.sets, 0)
        await experiment.bench.engine.reset_prefix_cache()
        async with recorded(host_processes(experiment.bench.roles()), folder) as files:
            done = await run_trial(generator, work, f"stacks-{number}", watch=_ignore)
        found.append(await asyncio.to_thread(summarised, arm, len(done.records), files, folder))
    await asyncio.to_thread(write_summary, experiment.run, found)
    return None


def host_processes(roles: Mapping[int, Role]) -> dict[str, int]:
    """The driver and the run's other Python processes, named by role; several of one role are numbered."""
    found = {"driver": os.getpid()}
    for pid, role in sorted(roles.items()):
        again = sum(name.startswith(role) for name in found)
        found[f"{role}_{again + 1}" if again else role] = pid
    return found


def _ignore(record: RequestRecord) -> None:
    """A recorded trial's requests are not kept."""


def arm_folder(run: Path, number: int, arm: str, kind: str = "stacks") -> Path:
    """Where an arm's files go; the name is made safe for every file system."""
    safe = re.sub(r"[^A-Za-z0-9_.=+-]+", "_", arm)[:60]
    return run / kind / f"{number:02d}-{safe}"


def summarised(arm: str, requests: int, files: Mapping[str, Path], folder: Path) -> ArmStacks:
    """Read what py-spy wrote, and draw it as one flame graph."""
    seconds, missing, drawn = dict[str, dict[str, float]](), dict[str, str](), Counter[tuple[str, ...]]()
    for process, file in files.items():
        try:
            stacks = read_stacks(file)
        except NotSpeedscope as error:
            told = file.with_name(f"{process}.txt")
            missing[process] = _last_line(told) if told.is_file() else str(error)
            continue
        seconds[process] = {part: ns / 1e9 for part, ns in by_part(stacks).items()}
        for stack, ns in stacks.items():
            if not waits(stack):
                drawn[process, *(frame.name for frame in stack)] += ns
    title = f"{arm}: host time by process, {requests} requests, py-spy at {RATE_HZ} Hz"
    (folder / "flame.svg").write_text(flame_graph(drawn, title), encoding="utf-8")
    return ArmStacks(arm, requests, seconds, missing, folder.name)


def _last_line(path: Path) -> str:
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "rror" in line), lines[0] if lines else "py-spy wrote nothing")[:200]


def write_summary(run: Path, arms: Sequence[ArmStacks]) -> None:
    """Keep the figures beside the files that they come from."""
    said = [
        {"arm": a.arm, "requests": a.requests, "seconds": a.seconds, "missing": a.missing, "folder": a.folder}
        for a in arms
    ]
    (run / _FILE).write_text(json.dumps({"rate_hz": RATE_HZ, "arms": said}, indent=1), encoding="utf-8")


def read_summary(run: Path) -> tuple[ArmStacks, ...]:
    """The arms' figures; empty where the run recorded no stacks."""
    try:
        stored: dict[str, Any] = json.loads((run / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(ArmStacks(**arm) for arm in stored["arms"])
