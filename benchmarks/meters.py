"""What do the meters cost, and do they agree? `make bench-meters`; SECONDS=20 for each window.

Anywhere: the CPU time of sampling at 10 Hz over a tree like a real run's, and CPU seconds by role against the kernel's
own sum of the tree. On a GPU, with vLLM and the embedded model: energy counter over power integral, J/token of two
windows of the same load, tokens/s with the sampling on and off (interleaved), device memory against nvidia-smi's, and
the KV pool predicted beside a resident guard against the one that vLLM finds (on the CPU build in the table only).
The last line is one JSON object; null where there is no GPU, with the reason in the table. Bars: sampling at most 0.5 %
of a core, seconds within 2 %, counter within 3 %, spread under 2 %, cost under 0.5 %, memory within 2 %, KV pool
within 5 %.
"""

import asyncio
import json
import multiprocessing
import os
import resource
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.meters_gpu import GPU_FIGURES, gpu_figures
from benchmarks.meters_kv import kv_prediction_error
from profiler.analysis.process_use import cpu_s_by_role
from profiler.meters.meters import open_meters
from profiler.meters.not_measured import NotMeasured
from profiler.meters.process_meter import ProcessMeter
from profiler.meters.recorder import Recorder
from profiler.meters.roles import known_roles

SECONDS = float(os.environ.get("SECONDS", "20"))
FORK = multiprocessing.get_context("fork")
# Like a run on a GPU: core with a worker, two guard workers, a guard's vLLM; many threads; some memory to walk.
TREE = {"EngineCore": 2, "guard-worker-0": 0, "guard-worker-1": 0, "EngineCore-guard": 1}
THREADS, HELD_MIB = 40, 100


@dataclass(frozen=True)
class Figure:
    """A figure with its bar, or why there is none."""

    name: str
    value: float | None
    note: str


def live(pipe: Connection, children: int) -> None:
    """Hold memory and threads, and burn what is asked for: (seconds here, seconds in a child that ends)."""
    held = bytearray(b"1") * (HELD_MIB << 20)
    for _ in range(THREADS):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    pipes = [_start(f"VllmWorker-{i}", 0) for i in range(children)]
    while (asked := pipe.recv()) is not None:
        burn(asked[0])
        if asked[1]:
            child = FORK.Process(target=burn, args=(asked[1],))
            child.start()
            child.join()
        pipe.send(len(held))
    for theirs, process in pipes:
        theirs.send(None)
        process.join()


def _start(name: str, children: int) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=live, args=(theirs, children), name=name)
    process.start()
    return ours, process


def burn(cpu_s: float) -> None:
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        sum(range(2000))


def sampling_share_of_core() -> Figure:
    """CPU seconds of the sampling thread over those of the clock."""
    tree = {name: _start(name, children) for name, children in TREE.items()}
    roles = known_roles((tree["EngineCore"][1].pid or 0,), multiprocessing.active_children())
    with open_meters() as meters:
        meters.begin(roles)
        time.sleep(SECONDS)
        samples = meters.end(roles)
        facts = samples.facts
    _end(tree)
    share = facts["sampler_cpu_s"] / ((facts["ended_ns"] - facts["began_ns"]) / 1e9)
    gpus = f"{len(facts.get('gpus', ()))} GPU(s)"
    note = f"{len(facts['processes'])} processes, {gpus}, {facts['sweeps']} sweeps"
    return Figure("sampling_share_of_core", share, note)


def cpu_seconds_mismatch() -> Figure:
    """CPU seconds by role against getrusage of this process and of all it has waited for, as a share."""
    meter = ProcessMeter()
    recorder = Recorder([meter])
    before_s = _whole_tree_s()
    meter.begin({})
    recorder.begin()
    tree = {name: _start(name, children) for name, children in TREE.items()}
    meter.learn(known_roles((tree["EngineCore"][1].pid or 0,), multiprocessing.active_children()))
    for pipe, _ in tree.values():
        pipe.send((SECONDS / 20, SECONDS / 40))
    for pipe, _ in tree.values():
        while not pipe.poll(0.1):
            recorder.sweep()
        pipe.recv()
    burn(SECONDS / 20)
    _end(tree)
    used = cpu_s_by_role(recorder.end())
    truth_s = _whole_tree_s() - before_s
    meter.close()
    said = ", ".join(f"{role} {seconds:.2f}" for role, seconds in used.items())
    return Figure("cpu_seconds_mismatch", abs(sum(used.values()) / truth_s - 1), f"{said}; tree {truth_s:.2f} s")


def _end(tree: dict[str, tuple[Connection, multiprocessing.process.BaseProcess]]) -> None:
    for pipe, process in tree.values():
        pipe.send(None)
        process.join()


def _whole_tree_s() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def on_the_gpu() -> list[Figure]:
    """The figures that take a GPU, or why there are none."""
    found = asyncio.run(gpu_figures(SECONDS))
    if isinstance(found, NotMeasured):
        figures = [Figure(name, None, f"not measured: {found.why}") for name in GPU_FIGURES]
    else:
        figures = [Figure(name, *found[name]) for name in GPU_FIGURES]
    return [*figures, Figure("kv_prediction_error", *asyncio.run(kv_prediction_error()))]


def main() -> None:
    """Measure, print a table, then the figures as JSON."""
    figures = [sampling_share_of_core(), cpu_seconds_mismatch(), *on_the_gpu()]
    for figure in figures:
        print(f"{figure.name:<24} {'-' if figure.value is None else f'{figure.value:.4f}':>8}  {figure.note}")
    rounded = {f.name: None if f.value is None else round(f.value, 5) for f in figures}
    print(json.dumps({"bench": "meters", "figures": rounded}))


if __name__ == "__main__":
    main()
