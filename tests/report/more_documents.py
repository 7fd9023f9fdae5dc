"""The documents of commands that are about something else than one run of `profile`, as they are printed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiler.calibration.real import ARMS, KIND
from profiler.doctor import Diagnosis, as_json
from profiler.machine import machine
from profiler.meters.capabilities import meter_capabilities
from tests.capacity_plan.stored_sweep import SLO, stored_sweep
from tests.capacity_plan.test_plan_command import trace
from tests.doctor.test_doctor import Machine
from tests.gate.stored import stored_run
from tests.history.runs import history_of, run_at
from tests.report.documents import printed, recorded

FACTS = {"model": "m", "engine": "vllm", "vllm_version": "0.32.0", "device": "cpu", "device_name": "a cpu"}
STEADY = (10, 20, 15)


def _plan(folder: Path) -> Any:
    """Everything asked for and metered; a run beside the sweep."""
    facts = FACTS | {"kv_blocks": "1000", "kv_pool_tokens": "100000", "kv_pool_bytes": str(1000 << 20)}
    run = stored_sweep(
        folder / "sweep", requests=300, watts=lambda rate: 100 + 10 * rate, idle_w=100.0, changed={"facts": facts}
    )
    other = stored_run(folder / "other", {"none": 100.0}, changed={"facts": facts})
    traffic = trace(folder / "trace.csv", {30: 600, 90: 3000}, 120)
    prices = ("--gpu-cost", "2.50/h", "--kwh", "0.12", "--headroom", "30%")
    return printed("plan", run, other, "--traffic", traffic, "--slo", f"{SLO},tpot_p99=60ms", *prices)


def _bounded_plan(folder: Path) -> Any:
    """The baseline never missed; nothing was metered."""
    run = stored_sweep(folder / "sweep", requests=300, scale=lambda arm, share, harmful: 0.3 if arm == "none" else 1.0)
    return printed("plan", recorded(run), "--rate", "100", "--slo", SLO)


def _no_plan(folder: Path) -> Any:
    """Every rate missed."""
    run = stored_sweep(folder / "sweep", requests=100, shares=(0.5, 0.7, 0.9))
    return printed("plan", run, "--rate", "100", "--slo", "ttft_p99=40ms")


def _history(folder: Path) -> Any:
    """A level that changed, and a run that is left out."""
    history_of(folder, [600.0] * 6 + [720.0] * 6)
    run_at(folder, 12, 500.0, 600.0, planned_trials=30)
    return printed("history", folder, "--metric", "e2el_p50")


def _short_history(folder: Path) -> Any:
    """One block, no commit, verdicts that were recorded."""
    scenario = {"name": "chat", "guards": {}, "verdicts": "recorded"}
    run_at(folder, 0, 500.0, 600.0, blocks=1, git_commit=None, scenario=scenario)
    return printed("history", folder, "--tax")


def _doctor(folder: Path) -> Any:
    """Of this machine, its noise by a clock of our own: vLLM takes seconds to import, ten more would be watched."""
    noise = Machine(lambda second: STEADY[second]).floor((0,) * 8, (50, 0, 20, 100, 0, 0, 0, 10), seconds=3)
    return json.loads(json.dumps(as_json(Diagnosis(machine(), tuple(meter_capabilities()), noise)), allow_nan=False))


def _calibration(folder: Path) -> Any:
    """A run of the controls, as `report` prints it."""
    arms = {"none": 100.0, **{arm: 110.0 for arm in ARMS}}
    scenario = {"guards": {}, "load": {"kind": "closed", "users": 4}, "output": {"max_tokens": 20}}
    stacks = {arm: [] if arm == "none" else [arm] for arm in arms}
    run = stored_run(folder / "c", arms, changed={"kind": KIND, "scenario": scenario, "stacks": stacks})
    return printed("report", run)


def _modelled(folder: Path) -> Any:
    return printed("calibrate", "--modelled", "--repeats", "1", "--blocks", "2")


MORE: Mapping[str, Callable[[Path], Any]] = {
    "plan": _plan,
    "bounded plan": _bounded_plan,
    "no plan": _no_plan,
    "history": _history,
    "short history": _short_history,
    "doctor": _doctor,
    "calibration": _calibration,
    "modelled calibration": _modelled,
}
