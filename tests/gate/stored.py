"""Runs on disk whose figures the test chooses: an arm's E2EL in ms, and which harmful prompts it blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from guards.trace import GuardVerdict
from guards.verdict import Action, Verdict
from profiler.records.record import Outcome, RequestRecord
from profiler.records.store import create_run, write_stored
from tests.analysis.made_trials import request, trial

GUARD = {"kind": "input-classifier", "scorer": {"kind": "embedding", "head": "prompt"}, "threshold": 0.5}


def stored_run(
    folder: Path,
    arms: Mapping[str, float],
    *,
    blocks: int = 8,
    requests: int = 10,
    noise: float = 0.01,
    seed: int = 3,
    blocked: Mapping[str, Sequence[int]] | None = None,
    fail: int = 0,
    guards: Mapping[str, Any] | None = None,
    changed: Mapping[str, Any] | None = None,
) -> Path:
    """Every arm's mean E2EL in ms, the baseline's twice a block; arm `x` has the guard `x`."""
    found = {name: GUARD | {"threshold": 0.1 + 0.1 * i} for i, name in enumerate(arms) if name != "none"}
    manifest = {
        "id": folder.name,
        "facts": {"model": "m", "engine": "modelled", "vllm_version": "0.32.0", "device_name": "a cpu"},
        "machine": {"cpu": "a cpu", "cores": 2},
        "scenario": {"guards": dict(guards or found), "load": {"kind": "closed", "users": 4}},
        "arms": list(arms),
        "stacks": {arm: [] if arm == "none" else [arm] for arm in arms},
        "not_measured": {"energy": "no meter in a test"},
        **(changed or {}),
    }
    run, random, place = create_run(folder.parent, folder.name, manifest), np.random.default_rng(seed), 0
    for block in range(blocks):
        for arm, replicate in [*((arm, 0) for arm in arms), ("none", 1)]:
            ms = arms[arm] * np.exp(noise * random.standard_normal(requests))
            harmful = (blocked or {}).get(arm, ())
            records = [
                _record(i, ms[i], bool(blocked) and i % 2 == 0, i in harmful, arm == "none" and i < fail)
                for i in range(requests)
            ]
            write_stored(run, trial(place, block, arm, records, replicate=replicate))
            place += 1
    return run


def _record(index: int, ms: float, harmful: bool, blocked: bool, fails: bool) -> RequestRecord:
    outcome = Outcome.ERROR if fails else Outcome.BLOCKED if blocked else Outcome.PASSED
    record = request(index, service_ms=float(ms), outcome=outcome, finish="blocked" if blocked else "length")
    verdict = Verdict(Action.BLOCK if blocked else Action.ALLOW, p_unsafe=0.9 if blocked else 0.1)
    said = (GuardVerdict("guard", verdict, record.sent_ns),)
    return replace(record, label="harmful" if harmful else "benign", verdicts=said)
