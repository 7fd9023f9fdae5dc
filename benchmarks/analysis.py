"""How long does the report of a large run take, and how much memory: from disk to the tax table.

Writes synthetic runs of 100,000 and 1,000,000 request records as the store lays them out (12 blocks, two
baselines and three guarded arms in each, 24 chunks an answer, spans and verdicts), then reports each in a fresh
process: reading, taxes, ledgers and the printed table. The last line is one JSON object. Bars on 2 cores:
1,000,000 records in 10 s and 2 GiB, growing no faster than linearly from 100,000, stored in 400 bytes each.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profiler.plan import PlannedTrial, plan_trials
from profiler.records.record import Readings, TrialInfo
from profiler.records.store import StoredTrial, as_table, create_run, write_stored

Ints = npt.NDArray[np.int64]
SIZES = (100_000, 1_000_000)
GUARDS = ("input", "output", "rerank")
ARMS = ("none", *GUARDS)
BLOCKS = 12
CHUNKS = 24
SEQUENCES = 16
STEP_NS = 50_000_000
CHECK_NS = 20_000_000
JUDGE = {what: {"name": f"synthetic {what}", "threshold": 0.5} for what in ("refusal", "unsafe")}
LABELS = ("benign", "benign", "benign", "borderline", "harmful")
_REPORT = """
import json, resource, time
from pathlib import Path
from sys import argv
from rich.console import Console
from profiler.analysis.tax import analyse
from profiler.records.store import read_run
from profiler.report.terminal import print_result
began = time.perf_counter()
result = analyse(read_run(Path(argv[1])))
print_result(result, Console(width=80))
seconds = time.perf_counter() - began
cpu_s = time.process_time()
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "peak_mib": peak_mib}))
"""


@dataclass(frozen=True)
class Trial:
    """The times of one synthetic trial. `chunk_ns` has shape (requests, CHUNKS)."""

    sent_ns: Ints
    called_ns: Ints
    chunk_ns: Ints
    ended_ns: int


def synthetic(planned: PlannedTrial, n: int) -> Trial:
    """SEQUENCES users in a closed loop on an engine whose steps vary by 10 %, and by 5 % from trial to trial."""
    rng = np.random.default_rng([planned.block, planned.index])
    turns = -(-n // SEQUENCES)
    pace = STEP_NS * rng.lognormal(0, 0.05)
    steps = pace * np.abs(rng.normal(1, 0.1, (turns + 1) * (CHUNKS + 2))) + 1_000_000
    ends = np.cumsum(steps).astype(np.int64) + 1_000_000_000
    turn = np.arange(n) // SEQUENCES
    # One step in which the prompt is read, then a token each; arrivals of one step lie microseconds apart.
    at = turn[:, None] * (CHUNKS + 2) + 2 + np.arange(CHUNKS)
    chunk_ns = ends[at] + rng.integers(0, 200_000, (n, 1))
    called = ends[turn * (CHUNKS + 2)] + rng.integers(0, 1_000_000, n)
    check = CHECK_NS if planned.arm in ("input", "all") else 0
    return Trial(called - check, called, chunk_ns, int(ends[-1]) + 10_000_000)


def records(planned: PlannedTrial, trial: Trial, n: int) -> pa.Table:
    """The trial as the store keeps it."""
    rng = np.random.default_rng([planned.block, planned.index, 1])
    guarded = planned.arm != "none"
    guards = GUARDS if planned.arm == "all" else (planned.arm,)
    blocked = (rng.random(n) < 0.05) & guarded
    lists = pa.array(np.arange(n + 1, dtype=np.int32) * CHUNKS)
    chunks = pa.ListArray.from_arrays(lists, pa.array(trial.chunk_ns.ravel()))
    tokens = pa.ListArray.from_arrays(lists, pa.array(np.ones(n * CHUNKS, dtype=np.int32)))
    first, last = trial.chunk_ns[:, 0], trial.chunk_ns[:, -1]
    columns = {
        "index": np.arange(n, dtype=np.int32),
        "prompt_id": text([f"p{i % 500}" for i in range(n)]),
        "label": text([LABELS[i % 500 % 5] for i in range(n)]),
        "category": text([f"c{i % 500 % 8}" for i in range(n)]),
        "scheduled_ns": trial.sent_ns - 50_000,
        "sent_ns": trial.sent_ns,
        "first_ns": first + 30_000,
        "last_ns": last + 30_000,
        "output_tokens": np.full(n, CHUNKS, dtype=np.int32),
        "finish_reason": text(np.where(blocked, "cut", "length").tolist()),
        "outcome": text(np.where(blocked, "blocked", "passed").tolist()),
        "error": pa.array([""] * n),
        "chunk_ns": chunks,
        "chunk_tokens": tokens,
        "engine_calls": each([engine_calls(trial, chunks, tokens, n)]),
        "spans": each([spans(guard, trial, n) for guard in guards]) if guarded else None,
        "verdicts": each([verdicts(guard, blocked, trial, n) for guard in guards]) if guarded else None,
        "prompt": pa.array([""] * n),
        "answer": pa.array([""] * n),
        "chosen_candidate": np.zeros(n, dtype=np.int32),
        "exposed_tokens": np.zeros(n, dtype=np.int32),
        "answer_refusal": rng.random(n),
        "answer_unsafe": rng.random(n),
    }
    schema = as_table(info_of(planned, trial), []).schema
    arrays = [
        empty_lists(field.type, n) if (column := columns[field.name]) is None else pa.array(column).cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def engine_calls(trial: Trial, chunks: pa.ListArray, tokens: pa.ListArray, n: int) -> pa.StructArray:
    first, last = trial.chunk_ns[:, 0], trial.chunk_ns[:, -1]
    times = {
        "queued_ns": trial.called_ns,
        "scheduled_ns": trial.called_ns,
        "first_token_ns": first,
        "last_token_ns": last,
    }
    return struct(
        {
            "sent_ns": trial.called_ns,
            "first_ns": first,
            "last_ns": last,
            "ended_ns": last + 10_000,
            "output_tokens": np.full(n, CHUNKS, dtype=np.int32),
            "finish_reason": pa.array(["length"] * n),
            "aborted": np.zeros(n, dtype=np.bool_),
            "times": struct(times),
            "chunk_ns": chunks,
            "chunk_tokens": tokens,
            "candidates": np.ones(n, dtype=np.int32),
            "prompt_tokens": np.full(n, 40, dtype=np.int32),
        }
    )


def spans(arm: str, trial: Trial, n: int) -> pa.StructArray:
    start = trial.sent_ns if arm == "input" else trial.chunk_ns[:, -1]
    return struct(
        {
            "guard": pa.array([arm] * n),
            "stage": pa.array(["prefill"] * n),
            "start_ns": start,
            "end_ns": start + (CHECK_NS if arm == "input" else 20_000),
            "critical": np.ones(n, dtype=np.bool_),
        }
    )


def verdicts(arm: str, blocked: npt.NDArray[np.bool_], trial: Trial, n: int) -> pa.StructArray:
    category = pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32)), pa.array(["weapons"] * n))
    verdict = {
        "action": pa.array(np.where(blocked, "block", "allow").tolist()),
        "p_unsafe": np.random.default_rng(1).random(n),
        "p_refusal": np.zeros(n),
        "categories": category,
        "spans": empty_lists(pa.list_(TEXT_SPAN), n),
        "status": pa.array(["ok"] * n),
        "detail": pa.array([""] * n),
    }
    return struct({"guard": pa.array([arm] * n), "verdict": struct(verdict), "at_ns": trial.sent_ns + CHECK_NS})


TEXT_SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("category", pa.string())])


def struct(fields: dict[str, pa.Array | npt.NDArray[np.generic]]) -> pa.StructArray:
    return pa.StructArray.from_arrays([pa.array(values) for values in fields.values()], names=list(fields))


def each(parts: list[pa.StructArray]) -> pa.ListArray:
    """A list a request: one value of each part."""
    k, n = len(parts), len(parts[0])
    order = np.arange(k * n).reshape(k, n).T.ravel()
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * k), pa.concat_arrays(parts).take(order))


def empty_lists(kind: pa.ListType, n: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, dtype=np.int32)), pa.array([], kind.value_type))


def text(values: list[str]) -> pa.Array:
    return pa.array(values).dictionary_encode()


def info_of(planned: PlannedTrial, trial: Trial) -> TrialInfo:
    readings = Readings(peak_memory_mib=1500.0, cpu_s=(trial.ended_ns - 1_000_000_000) / 1e9)
    return TrialInfo(
        planned.index, planned.block, planned.arm, planned.replicate, 1_000_000_000, trial.ended_ns, readings
    )


def write_run(folder: Path, size: int) -> Path:
    plan = plan_trials(ARMS, BLOCKS, seed=1)
    facts = {"model": "synthetic", "device_name": "none", "vllm_version": "-"}
    manifest = {
        "id": str(size), "facts": facts, "arms": list(ARMS), "judge": JUDGE, "planned_trials": len(plan),
        "not_measured": {},
    }  # fmt: skip
    run = create_run(folder, str(size), manifest)
    edges = np.linspace(0, size, len(plan) + 1).round().astype(int)
    for planned, n in zip(plan, np.diff(edges).tolist(), strict=True):
        trial = synthetic(planned, n)
        write_stored(run, StoredTrial(info_of(planned, trial), records(planned, trial, n)))
    return run


def report(run: Path) -> dict[str, float]:
    """Report the run in a process of its own; the table goes to the terminal."""
    done = subprocess.run([sys.executable, "-c", _REPORT, str(run)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    *table, last = done.stdout.splitlines()
    print("\n".join(table[:-2]))
    figures: dict[str, float] = json.loads(last)
    return figures


def main() -> None:
    """Write, report, print; then the figures as JSON."""
    figures: dict[str, float] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            run = write_run(Path(folder), size)
            stored = sum(file.stat().st_size for file in (run / "trials").iterdir()) / size
            found = report(run)
        print(
            f"{size:>9} records of {stored:.0f} bytes on disk: "
            f"{found['seconds']:.2f} s ({found['cpu_s']:.2f} s of CPU, imports included), "
            f"peak {found['peak_mib']:.0f} MiB\n"
        )
        figures[f"seconds_{size}"] = round(found["seconds"], 3)
        figures[f"cpu_seconds_{size}"] = round(found["cpu_s"], 3)
        figures[f"bytes_per_request_{size}"] = round(stored, 1)
        figures[f"peak_mib_{size}"] = round(found["peak_mib"], 1)
    small, large = (figures[f"seconds_{size}"] / size for size in SIZES)
    figures["growth_ratio"] = round(large / small, 3)
    print("growth_ratio: time per record at 1,000,000 over that at 100,000; 1 is linear")
    print(json.dumps({"bench": "analysis", "figures": figures}))


if __name__ == "__main__":
    main()
