"""`--trace`: after the measured blocks, a few requests an arm under vLLM's torch profiler.

results/<run id>/traces/<arm number>-<arm>/*.pt.trace.json.gz   as torch wrote them (open in Perfetto)
results/<run id>/traces.json                                    device seconds by family of kernels
"""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from profiler.experiment import Experiment, stacks_of
from profiler.records.record import RequestRecord
from profiler.stacks.run import arm_folder
from profiler.traces.families import NotATrace, read_trace
from profiler.trial import Workload, run_trial

REQUESTS = 4
_FILE = "traces.json"


@runtime_checkable
class Traced(Protocol):
    """An engine that can run under the torch profiler."""

    async def start_trace(self) -> None:
        """Begin to record."""
        ...

    async def stop_trace(self) -> None:
        """Stop, and write the files."""
        ...


@dataclass(frozen=True)
class ArmTrace:
    """Device seconds of one arm's traced requests by family. `why`: nothing could be read, and the reason."""

    arm: str
    requests: int
    device: str
    seconds: Mapping[str, float]
    folder: str
    why: str = ""


def engine_settings(folder: Path) -> dict[str, Any]:
    """VLLM's engine argument that lets it be traced into `folder`. Nothing is recorded before it is asked to."""
    return {
        "profiler_config": {
            "profiler": "torch",
            "torch_profiler_dir": str(folder.resolve()),
            "torch_profiler_with_stack": False,
            "torch_profiler_dump_cuda_time_total": False,
            "ignore_frontend": True,
        }
    }


async def record_traces(experiment: Experiment, engine: Traced, scratch: Path) -> None:
    """Trace a few requests of every arm; `scratch` is where the engine writes.

    Raises:
        EngineDied: the engine is gone.
    """
    found = []
    for number, (arm, generator) in enumerate(stacks_of(experiment.scenario, experiment.bench).items()):
        folder = arm_folder(experiment.run, number, arm, "traces")
        await asyncio.to_thread(folder.mkdir, parents=True)
        work = _few(Workload.draw(experiment.scenario, experiment.sets, 0))
        await experiment.bench.engine.reset_prefix_cache()
        await engine.start_trace()
        try:
            done = await run_trial(generator, work, f"trace-{number}", watch=_ignore)
        finally:
            await engine.stop_trace()
        found.append(await asyncio.to_thread(_summarised, arm, len(done.records), scratch, folder))
    write_traces(experiment.run, found)


def _few(work: Workload) -> Workload:
    return replace(work, prompts=work.prompts[:REQUESTS], rows=work.rows[:REQUESTS])


def _ignore(record: RequestRecord) -> None:
    """A traced request is not kept."""


def _summarised(arm: str, requests: int, scratch: Path, folder: Path) -> ArmTrace:
    """Move what was written since the last arm, and add it up over the engine's workers."""
    files = [Path(shutil.move(file, folder / file.name)) for file in sorted(scratch.glob("*.pt.trace.json*"))]
    seconds, devices, why = Counter[str](), set[str](), "" if files else "vLLM wrote no trace"
    for file in files:
        try:
            read = read_trace(file)
        except NotATrace as error:
            why = str(error)
            continue
        devices.add(read.device)
        seconds.update({family: ns / 1e9 for family, ns in read.ns.items()})
    return ArmTrace(arm, requests, "+".join(sorted(devices)), dict(seconds), folder.name, why)


def write_traces(run: Path, arms: Sequence[ArmTrace]) -> None:
    """Keep the figures beside the files that they come from."""
    (run / _FILE).write_text(json.dumps([asdict(arm) for arm in arms], indent=1), encoding="utf-8")


def read_traces(run: Path) -> tuple[ArmTrace, ...]:
    """The arms' figures; empty where the run recorded no traces."""
    try:
        stored: list[dict[str, Any]] = json.loads((run / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(ArmTrace(**arm) for arm in stored)
