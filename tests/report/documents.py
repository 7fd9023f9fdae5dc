"""Stored runs of many kinds, and their JSON documents as the command line prints them."""

import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks.report import write_run
from guards.controls import Delay
from profiler.cli import main
from profiler.records.store import write_parts
from profiler.saturation.probe import Goal
from profiler.scenario import SloConfig, SweepConfig, load_scenario
from profiler.sweep.grid import expanded
from tests.gate.stored import GUARD, stored_run
from tests.saturation.sweeps import sweep

ROOT = Path(__file__).parents[2]
ARMS = {"none": 100.0, "x": 120.0, "y": 110.0}
POOL = {"kv_blocks": "100", "kv_block_tokens": "16", "kv_pool_tokens": "1600", "kv_pool_bytes": "1048576"}
FACTS = {"model": "m", "engine": "modelled", "vllm_version": "0.32.0", "device_name": "a cpu"}
STACKS = {"none": [], "x": ["x"], "y": ["y"], "all": ["x", "y"]}


def printed(*arguments: str | Path) -> Any:
    """What a command prints as JSON; a figure that JSON has no word for fails."""
    with redirect_stdout(StringIO()) as out:
        main([*map(str, arguments), "--format", "json"])

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(out.getvalue(), parse_constant=refuse)


def recorded(run: Path) -> Path:
    """As if its verdicts had been recorded only: a report notes that."""
    manifest = json.loads((run / "run.json").read_text())
    manifest["scenario"]["verdicts"] = "recorded"
    (run / "run.json").write_text(json.dumps(manifest))
    return run


def _metered(folder: Path) -> Path:
    """Samples of processes and a GPU, judged answers, a reading of every meter."""
    return write_run(folder, 360)


def _dedicated(folder: Path) -> Path:
    scenario = {"guards": {"x": GUARD}, "isolation": "dedicated", "load": {"kind": "closed", "users": 4}}
    run = stored_run(folder / "d", {"none": 100, "x": 120}, changed={"facts": FACTS | POOL, "scenario": scenario})
    part = {"arm": "x", "footprint_mib": 0.1, "how": "PSS", "predicted_blocks": 90, "facts": POOL | {"kv_blocks": "89"}}
    write_parts(run, [part])
    return run


def _attributed(folder: Path) -> Path:
    scenario = {"guards": {"x": GUARD, "y": GUARD}, "attribution": "shapley", "arms": STACKS}
    return stored_run(folder / "a", ARMS | {"all": 140.0}, changed={"scenario": scenario, "stacks": STACKS})


def _until(folder: Path) -> Path:
    until = {"metric": "e2el_p50", "half_width": 0.02}
    return stored_run(folder / "u", ARMS, changed={"scenario": {"guards": {"x": GUARD, "y": GUARD}, "until": until}})


def _looked_into(folder: Path) -> Path:
    """Stacks and traces were recorded."""
    run = stored_run(folder / "l", ARMS)
    ended = {"engine core": "it ended"}
    arms = [
        {"arm": name, "requests": 4, "seconds": {"driver": {"guard": s}}, "missing": ended, "folder": name}
        for name, s in (("none", 0.5), ("x", 0.9))
    ]
    (run / "stacks.json").write_text(json.dumps({"rate_hz": 100, "arms": arms}))
    traced = {"arm": "x", "requests": 4, "device": "cuda", "seconds": {"attention": 0.1}, "folder": "x"}
    (run / "traces.json").write_text(json.dumps([traced, traced | {"arm": "y", "seconds": {}, "why": "no trace"}]))
    return run


def _nothing_measured(folder: Path) -> Path:
    """One block of one request: no interval, no p99, no energy, no piece after the first."""
    return stored_run(folder / "n", {"none": 100.0}, blocks=1, requests=1)


def _swept(folder: Path) -> Path:
    stated = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    grid = SweepConfig(grid={"input.threshold": [0.9, 0.5]})
    scenario, points = expanded(stated.model_copy(update={"sweep": grid}))
    changed = {"scenario": scenario.model_dump(mode="json"), "points": [point.as_json() for point in points]}
    arms = {arm: 100.0 + 10 * i for i, arm in enumerate(scenario.stacks())}
    return recorded(
        stored_run(folder / "s", arms, changed=changed, blocked={arm: [0, 2] for arm in arms if arm != "none"})
    )


def _saturated(folder: Path) -> Path:
    goal = Goal(SloConfig(e2el_ms=50.0), probe_seconds=1.0, resolution=0.2)
    return recorded(sweep(folder, goal, {"slow": [Delay(20.0)]}))


RUNS: Mapping[str, Callable[[Path], Path]] = {
    "guards": lambda folder: stored_run(folder / "g", ARMS, requests=80, blocked={"x": [0, 2]}),
    "no guards": lambda folder: recorded(stored_run(folder / "b", {"none": 100.0})),
    "metered": _metered,
    "dedicated": _dedicated,
    "attribution": _attributed,
    "until": _until,
    "stacks": _looked_into,
    "invalid": lambda folder: stored_run(folder / "i", ARMS, fail=8),
    "nothing measured": _nothing_measured,
    "sweep": _swept,
    "saturation": _saturated,
}
