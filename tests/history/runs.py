"""A folder of runs on disk whose levels the test chooses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.gate.stored import GUARD, stored_run


def run_at(folder: Path, number: int, base_ms: float, arm_ms: float, *, blocks: int = 3, **changed: Any) -> Path:
    """The `number`-th run: a baseline and an arm `a`, E2EL in ms; `changed` of the manifest, facts merged."""
    facts = {"model": "m", "engine": "modelled", "vllm_version": "0.32.0", "device_name": "a cpu"}
    said = {
        "started": f"2026-11-{1 + number // 24:02d}T{number % 24:02d}:00:00+00:00",
        "git_commit": f"{number:07x}" + "0" * 33,
        "scenario": {"name": "chat", "guards": {"a": GUARD}, "load": {"kind": "closed", "users": 4}},
        "planned_trials": blocks * 3,
        **changed,
        "facts": {**facts, **changed.get("facts", {})},
    }
    return stored_run(
        folder / f"run-{number:03d}",
        {"none": base_ms, "a": arm_ms},
        blocks=blocks,
        seed=number,
        changed=said,
    )


def history_of(folder: Path, levels: Sequence[float], spread: float = 0.01, **changed: Any) -> Path:
    """A run a level: the arm's E2EL, that over a baseline of 500 ms; runs of one level differ by `spread`."""
    rng = np.random.default_rng(11)
    for number, level in enumerate(levels):
        run_at(folder, number, 500.0, level * float(np.exp(spread * rng.normal())), **changed)
    return folder
