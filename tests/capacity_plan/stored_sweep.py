"""A sweep on disk whose latencies the test chooses: TTFT at rate r is `50 ms / (1 - r / limit)` times 0.5 to 1."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from guards.trace import EngineCall
from profiler.records.record import Outcome, Readings, RequestRecord, TrialInfo
from profiler.records.samples import Samples
from profiler.records.store import StoredTrial, as_table, create_run, write_idle, write_stored
from profiler.saturation.result import KIND
from profiler.scenario import load_scenario
from tests.analysis.made_trials import MS, request

ROOT = Path(__file__).parents[2]
SHARES = (0.2, 0.35, 0.5, 0.6, 0.7, 0.76, 0.84, 0.92)
"""The rates tried, as shares of an arm's limit. 250 ms are held at 0.76 and missed at 0.84."""
LIMITS = {"none": 20.0, "guard": 10.0}
SLO_MS = 250.0
SLO = f"ttft_p99={SLO_MS:g}ms"
TRUTH = 1 - 0.995 * 50 / SLO_MS
"""The capacity for that, as a share of the limit: the p99 is 0.995 of the largest TTFT."""
Scale = Callable[[str, float, bool], float]


def stored_sweep(
    folder: Path,
    *,
    limits: Mapping[str, float] = LIMITS,
    shares: Sequence[float] = SHARES,
    requests: int = 750,
    harmful: float = 0.0,
    blocking: Sequence[str] = (),
    scale: Scale = lambda arm, share, is_harmful: 1.0,
    watts: Callable[[float], float] | None = None,
    idle_w: float | None = None,
    drain_s: float = 0.0,
    throttled: Sequence[float] = (),
    changed: Mapping[str, Any] | None = None,
    engine: Mapping[str, Any] | None = None,
) -> Path:
    """`scale` multiplies a request's TTFT, `blocking` arms give harmful requests no token, `watts` is the GPU's."""
    scenario = load_scenario(ROOT / "scenarios" / "quickstart.yaml").model_dump(mode="json")
    scenario["engine"] = dict(engine or {})
    manifest = {
        "id": folder.name,
        "kind": KIND,
        "facts": {"model": "m", "engine": "vllm", "vllm_version": "0.32.0", "device": "cuda", "device_name": "a gpu"},
        "scenario": scenario,
        "arms": list(limits),
        "stacks": {arm: [] if arm == "none" else [arm] for arm in limits},
        "placements": {arm: "generator-gpu" for arm in limits if arm != "none"},
        KIND: {"good_fraction": 0.99, "resolution": 0.05, "probe_seconds": 30.0},
        **(changed or {}),
    }
    run, rng, place = create_run(folder.parent, folder.name, manifest), np.random.default_rng(5), 0
    for arm, limit in limits.items():
        for share in shares:
            ttft_ms = 50 / (1 - share) * rng.permutation(np.linspace(0.5, 1.0, requests))
            bad = rng.permutation(np.arange(requests) < round(harmful * requests))
            records = [
                _record(i, ttft_ms[i] * scale(arm, share, bool(bad[i])), bool(bad[i]), arm in blocking)
                for i in range(requests)
            ]
            hot = Readings(throttled=share in throttled)
            info = TrialInfo(place, place, arm, 0, 10**9, 31 * 10**9, readings=hot, rate_hz=share * limit)
            samples = None if watts is None else _samples(watts(share * limit), drain_s + requests / (share * limit))
            write_stored(run, StoredTrial(info, as_table(info, records), samples))
            place += 1
    if idle_w is not None:
        write_idle(run, _samples(idle_w))
    return run


def _record(index: int, ttft_ms: float, harmful: bool, blocks: bool) -> RequestRecord:
    blocked = harmful and blocks
    one = request(index, service_ms=ttft_ms + 1000, tokens=0 if blocked else 20)
    first_ns = one.scheduled_ns + round(ttft_ms * MS)
    last_ns = first_ns if blocked else first_ns + 1000 * MS
    made = 0 if blocked else 20
    call = EngineCall(one.sent_ns, first_ns, last_ns, last_ns, made, "length", False, None, (), (), prompt_tokens=30)
    return replace(
        one,
        label="harmful" if harmful else "benign",
        first_ns=first_ns,
        last_ns=last_ns,
        chunk_ns=(first_ns, last_ns),
        chunk_tokens=(0, 0) if blocked else (1, 19),
        outcome=Outcome.BLOCKED if blocked else Outcome.PASSED,
        engine_calls=() if blocked else (call,),
    )


def _samples(watts: float, seconds: float = 30.0) -> Samples:
    """So many seconds of one card's energy counter, and of a guard's process that holds 100 MiB."""
    process = {"pid": 7, "ppid": 1, "role": "guard_workers", "born": False}
    end_ns = 10**9 + round(seconds * 1e9)
    facts = {
        "began_ns": 10**9, "ended_ns": end_ns, "gpus": [{"source": "gpu0"}], "rapl": [], "processes": [process],
    }  # fmt: skip
    keys = (("gpu0", "energy_j"), ("process:7", "pss_bytes"))
    times = np.array([10**9, end_ns, 10**9, end_ns])
    values = np.array([0.0, seconds * watts, 100 * 2.0**20, 100 * 2.0**20])
    return Samples(facts, keys, np.array([0, 0, 1, 1]), times, values)
