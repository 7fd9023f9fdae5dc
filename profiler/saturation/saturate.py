"""`alignment-tax saturate` on vLLM: validate -> start -> sweep."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from profiler.analysis.goodput import stated
from profiler.engines.vllm_args import check_engine_settings, installed_vllm, prepare_environment
from profiler.errors import UserError
from profiler.experiment import Experiment, stacks_of
from profiler.profile import Finished, manifest, open_bench, prompt_sets, until_stopped
from profiler.records.store import create_run
from profiler.report.saturation import teller
from profiler.saturation.probe import Goal
from profiler.saturation.result import KIND, goal_record
from profiler.saturation.sweep import Sweep
from profiler.scenario import Scenario


def check_slo(scenario: Scenario, where: str) -> None:
    """Refuse a scenario that says nothing of what a good request is.

    Raises:
        UserError: no objective.
    """
    if not stated(scenario.slo):
        raise UserError(f"{where}: slo: none stated: add one, such as `slo: {{ttft_ms: 500, tpot_ms: 50}}`")


async def saturate(scenario: Scenario, where: str, out: Path, goal: Goal, console: Console) -> Finished:
    """Sweep a scenario's arms on vLLM; every finished probe is stored whatever happens.

    Raises:
        UserError: something in the scenario, the model or the machine is the user's to cure.
    """
    check_slo(scenario, where)
    if scenario.isolation == "dedicated":
        raise UserError(f"{where}: isolation: a saturation sweep goes over all arms on one engine: use `shared`")
    scenario = scenario.model_copy(update={"judge_answers": False})  # a sweep asks how many, not how good
    sets = prompt_sets(scenario, console)
    prepare_environment()
    installed_vllm()
    check_engine_settings(scenario.engine, where)
    async with open_bench(scenario, where, console) as bench:
        run_id = f"saturate-{scenario.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        facts = manifest(scenario, sets, bench)
        facts.pop("planned_trials", None)  # a search does not know how long it takes
        said = {"id": run_id, "kind": KIND, **facts, KIND: goal_record(goal)}
        run = await asyncio.to_thread(create_run, out, run_id, said)
        sweep = Sweep(scenario, sets, goal, bench.engine, stacks_of(scenario, bench), run, metered=bench)

        async def idle_then_sweep() -> str:
            await Experiment(scenario, sets, bench, run).idle()
            return await sweep.execute(teller(console, goal))

        return Finished(run, await until_stopped(idle_then_sweep(), run))
