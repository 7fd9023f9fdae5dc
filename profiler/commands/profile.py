"""`alignment-tax profile`."""

import argparse
import asyncio
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from profiler.analysis.tax import analyse
from profiler.commands.parser import Commands
from profiler.errors import UserError
from profiler.profile import Options, profile
from profiler.records.store import read_run
from profiler.report.terminal import print_result
from profiler.scenario import Scenario, load_scenario

QUICKSTART = Path(__file__).parents[2] / "scenarios" / "quickstart.yaml"


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("profile", help="measure what guards cost around a vLLM model")
    add_run_flags(parser)
    parser.add_argument("--blocks", type=int, help="number of blocks (default: the scenario's)")
    parser.set_defaults(run=_run)


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that every command with a scenario has."""
    parser.add_argument("--model", help="hub id or folder (default: the scenario's)")
    parser.add_argument("--scenario", type=Path, default=QUICKSTART, help="default: scenarios/quickstart.yaml")
    parser.add_argument("--guards", help="comma-separated guards of the scenario: each alone, then all together")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the run (default: results)")


def scenario_from(options: argparse.Namespace) -> Scenario:
    """The scenario that the flags of `add_run_flags` name.

    Raises:
        UserError: the file, a key, or a guard that the scenario does not define.
    """
    scenario = load_scenario(options.scenario)
    if options.model:
        scenario = scenario.model_copy(update={"model": options.model})
    if options.guards:
        scenario = scenario.only([name.strip() for name in options.guards.split(",") if name.strip()])
    return scenario


def _run(options: argparse.Namespace) -> int:
    console = Console()
    scenario = scenario_from(options)
    if options.blocks is not None:
        if options.blocks < 1:
            raise UserError("--blocks: must be at least 1")
        scenario = scenario.model_copy(update={"blocks": options.blocks})
    finished = asyncio.run(profile(Options(scenario, str(options.scenario), options.out), console))
    run = read_run(finished.run)
    if finished.stopped:
        console.print(f"[yellow]stopped early:[/] {escape(finished.stopped)}")
    if run.sources:
        print_result(analyse(run), console)
    else:
        console.print(f"no trial was finished; nothing to report in {escape(str(finished.run))}", soft_wrap=True)
    return 1 if finished.stopped else 0
