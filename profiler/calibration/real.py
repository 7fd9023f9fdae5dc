"""The controls on the real engine, stored as a run like any other."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from guards.burner import CpuBurner
from guards.controls import ChunkDelay, Delay, Doubler, WhileServing
from guards.guard import Guard
from profiler.analysis.ledger_entries import Ledger
from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult
from profiler.calibration.statement import Statement, counted
from profiler.engines.vllm_args import check_engine_settings, installed_vllm, prepare_environment
from profiler.experiment import Experiment
from profiler.profile import Finished, execute, manifest, open_bench, prompt_sets
from profiler.records.store import create_run
from profiler.scenario import Scenario

KIND = "calibration"
DELAY_MS, CHUNK_DELAY_MS, BURNER_SHARE = 20.0, 5.0, 0.1
ARMS = ("delay", "chunk-delay", "burner", "doubler")
_METRICS = ("ttft_ms", "e2el_ms")


async def calibrate(scenario: Scenario, where: str, out: Path, console: Console) -> Finished:
    """Run the controls under the scenario's load; what was finished is stored whatever happens.

    Raises:
        UserError: something in the scenario or the machine is the user's to cure.
    """
    # The scenario's own guards stay out; the controls are no configuration and go in below.
    bare = scenario.model_copy(
        update={"guards": {}, "arms": {arm: [arm] for arm in ARMS}, "judge_answers": False, "isolation": "shared"}
    )
    sets = prompt_sets(bare, console)
    prepare_environment()
    installed_vllm()
    check_engine_settings(bare.engine, where)
    with ExitStack() as closing:
        burner = CpuBurner(BURNER_SHARE)
        closing.callback(burner.close)
        async with open_bench(bare, where, console) as bench:
            bench = replace(bench, guards=_controls(burner))
            run_id = f"calibrate-{datetime.now(UTC):%Y%m%d-%H%M%S}"
            said = {"id": run_id, "kind": KIND, **manifest(bare, sets, bench)}
            run = await asyncio.to_thread(create_run, out, run_id, said)
            return Finished(run, await execute(Experiment(bare, sets, bench, run), console))


def _controls(burner: CpuBurner) -> Mapping[str, Guard]:
    guards: Sequence[Guard] = (Delay(DELAY_MS), ChunkDelay(CHUNK_DELAY_MS), WhileServing(burner), Doubler())
    return {guard.name: guard for guard in guards}


def statements(result: RunResult) -> list[Statement]:
    """What each control injected and the run recovered; controls whose arm was not run are left out."""
    found = [_of_aa(result, metric) for metric in _METRICS]
    for arm in ARMS:
        if arm in result.arms:
            found += [_of_arm(arm, m, ledger) for m, ledger in result.arms[arm].ledger.items()]
    return [one for one in (*found, _wasted_tokens(result)) if one is not None]


def _of_aa(result: RunResult, metric: str) -> Statement | None:
    tax = result.noise_floor.get(f"{metric}.mean")
    return None if tax is None else Statement("a/a", "measured", metric, 0.0, Interval(tax.absolute, *tax.ci95, 0.95))


def _of_arm(arm: str, metric: str, ledger: Ledger) -> Statement:
    if arm == "burner":
        return Statement(arm, "induced", metric, None, ledger.induced, note="truth unknown on a real engine")
    if arm == "doubler":
        return Statement(arm, "waste", metric, None, ledger.waste, note="truth unknown on a real engine")
    return Statement(arm, "direct", metric, DELAY_MS if arm == "delay" else CHUNK_DELAY_MS, ledger.direct)


def _wasted_tokens(result: RunResult) -> Statement | None:
    arm = result.arms.get("doubler")
    if arm is None or arm.waste is None:
        return None
    # Fixed lengths: both candidates are as long, and one of them was delivered.
    tokens = result.run.manifest["scenario"]["output"]["max_tokens"]
    return Statement("doubler", "waste", "", float(arm.requests * tokens), counted(arm.waste.tokens), "tokens")
