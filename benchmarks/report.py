"""How long does the report of a run of 100,000 requests take, and how large is its page?

Writes a synthetic run as the store lays it out (12 blocks; two baselines, three guarded arms and all guards together in
each; 24 chunks an answer, engine calls, spans, verdicts; processes and a GPU sampled 10 times a second), which is not
timed. Then times `alignment-tax report RUN` in a fresh process, from its start to its end, and how long Chromium, where
it is there, takes to open and draw the page. The last line is one JSON object. Bars on 2 cores: 5 s, 5 MiB, 1 s
to open.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.analysis import ARMS, GUARDS, JUDGE, info_of, records, synthetic
from profiler.plan import plan_trials
from profiler.records.samples import Samples
from profiler.records.store import StoredTrial, create_run, write_idle, write_stored

SIZE = 100_000
BLOCKS = 12
RUNS = 3
PERIOD_NS = 100_000_000
PROCESSES = {11: "driver", 12: "engine_core", 13: "engine_workers", 14: "guard_workers", 15: "other"}
GPU = {"source": "gpu:0", "name": "synthetic", "update_period_s": {"energy_j": 0.1}}
STACKS = {"none": [], **{guard: [guard] for guard in GUARDS}, "all": list(GUARDS)}


def samples(began_ns: int, ended_ns: int, seed: int) -> Samples:
    """What five processes and a GPU look like, 10 times a second; PSS once a second."""
    rng, t_ns = np.random.default_rng(seed), np.arange(began_ns, ended_ns, PERIOD_NS)
    n, series = len(t_ns), dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]()
    for pid in PROCESSES:
        source = f"process:{pid}"
        series[source, "pss_bytes"] = t_ns[::10], rng.normal(8e8, 1e6, len(t_ns[::10]))
        series[source, "cpu_s"] = t_ns, np.cumsum(rng.uniform(0, 0.1, n))
        series[source, "reaped_s"] = t_ns, np.zeros(n)
        series[source, "rss_bytes"] = t_ns, rng.normal(9e8, 1e6, n)
    watts = rng.normal(300, 20, n)
    readings = {
        "power_w": watts,
        "energy_j": np.cumsum(watts) * PERIOD_NS / 1e9,
        "utilisation_percent": rng.uniform(80, 100, n),
        "sm_clock_mhz": np.full(n, 1980.0),
        "memory_clock_mhz": np.full(n, 2619.0),
        "temperature_c": rng.normal(55, 1, n),
        "throttle_reasons": np.zeros(n),
        "memory_used_bytes": np.full(n, 7e10),
    }
    series |= {("gpu:0", name): (t_ns, value) for name, value in readings.items()}
    key = np.repeat(np.arange(len(series)), [len(at) for at, _ in series.values()])
    at, value = (np.concatenate([one[part] for one in series.values()]) for part in (0, 1))
    order = np.argsort(at, kind="stable")
    facts = {
        "began_ns": began_ns, "ended_ns": ended_ns, "period_s": 0.1, "sampler_cpu_s": 0.1, "root": 11, "gpus": [GPU],
        "processes": [
            {"pid": pid, "ppid": 10 if role == "driver" else 11, "role": role, "born": False}
            for pid, role in PROCESSES.items()
        ],
    }  # fmt: skip
    return Samples(facts, tuple(series), key[order], at[order], value[order])


def manifest(planned: int) -> dict[str, object]:
    kinds = {"input": "input-classifier", "output": "output-filter", "rerank": "refusal-reranker"}
    scorer = {"kind": "embedding", "head": "prompt"}
    return {
        "id": "report", "facts": {"model": "synthetic", "device_name": "none", "vllm_version": "-"},
        "arms": [*ARMS, "all"], "stacks": STACKS, "judge": JUDGE, "planned_trials": planned, "not_measured": {},
        "meters": {"period_s": 0.1, "gpus": [GPU], "rapl": [], "warnings": []},
        "scenario": {
            "name": "synthetic", "load": {"kind": "closed", "users": 16}, "arms": STACKS, "blocks": BLOCKS,
            "guards": {name: {"kind": kind, "scorer": scorer} for name, kind in kinds.items()},
        },
        "machine": {"cpu": "synthetic", "cores": 2}, "versions": {"alignment-tax": "0.1.0"},
    }  # fmt: skip


def write_run(folder: Path, size: int) -> Path:
    plan = plan_trials((*ARMS, "all"), BLOCKS, seed=1)
    run = create_run(folder, "report", manifest(len(plan)))
    write_idle(run, samples(0, 5_000_000_000, 0))
    edges = np.linspace(0, size, len(plan) + 1).round().astype(int)
    for planned, n in zip(plan, np.diff(edges).tolist(), strict=True):
        trial = synthetic(planned, n)
        info = info_of(planned, trial)
        looked = samples(info.started_ns, info.ended_ns, planned.index)
        write_stored(run, StoredTrial(info, records(planned, trial, n), looked))
    return run


def seconds_of_report(run: Path) -> tuple[float, float]:
    """The command in a process of its own, its table to a pipe: seconds by the clock, and of CPU."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "profiler.cli", "report", str(run)], capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_to_open(page: Path) -> float | None:
    """From asking for the page to its last picture, the browser started already; None without one."""
    from tests.browser.browser import CHROMIUM, chromium, opened

    if CHROMIUM is None:
        return None
    with chromium() as browser:
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            with opened(browser, page):
                times.append(time.perf_counter() - began)
    return max(times)


def main() -> None:
    """Write, report three times, print; then the figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder), SIZE)
        stored = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
        times = [seconds_of_report(run) for _ in range(RUNS)]
        mib = (run / "report.html").stat().st_size / 2**20
        opens = seconds_to_open(run / "report.html")
    print(f"{SIZE} requests, {stored / SIZE:.0f} bytes each on disk with their samples")
    said = ", ".join(f"{seconds:.2f} ({cpu:.2f} of CPU)" for seconds, cpu in times)
    print(f"report, process start to end, {RUNS} times: {said} s")
    print(f"its page: {mib:.2f} MiB")
    print("opening it: not measured: no Chromium here" if opens is None else f"opening it: {opens:.2f} s at most")
    figures = {"seconds_100k": max(times)[0], "cpu_seconds_100k": max(cpu for _, cpu in times), "mib_100k": mib}
    figures |= {} if opens is None else {"opens_seconds_100k": opens}
    print(json.dumps({"bench": "report", "figures": {name: round(value, 3) for name, value in figures.items()}}))


if __name__ == "__main__":
    main()
