"""`alignment-tax sweep`."""

import argparse
import asyncio
import json
from typing import Any

import yaml
from rich.console import Console

from profiler.analysis.tax import RunResult, analyse
from profiler.commands.parser import Commands
from profiler.commands.profile import add_run_flags
from profiler.commands.talk import add_talk_flags, talk_of, tell_end
from profiler.errors import UserError
from profiler.profile import Options, profile
from profiler.records.store import read_run
from profiler.report.sweep import print_sweep, sweep_json
from profiler.report.terminal import print_problems
from profiler.report.text import plain
from profiler.scenario import Scenario, SweepConfig, load_scenario
from profiler.sweep.grid import expanded
from profiler.sweep.result import TAXES, sweep_result


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("sweep", help="vary a guard's settings over a grid; mark what nothing beats")
    add_run_flags(parser)
    parser.add_argument(
        "--grid", action="append", default=[], metavar="GUARD.KEY=VALUE,...",
        help="values of one setting, such as input.threshold=0.3,0.5,0.9; may be given again",
    )  # fmt: skip
    parser.add_argument("--stack", metavar="GUARD,...", help="vary these guards together, as one stack")
    parser.add_argument("--blocks", type=int, help="number of blocks (default: the scenario's)")
    parser.add_argument("--tax", choices=tuple(TAXES), default="e2el_mean", help="what the front weighs as the cost")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    add_talk_flags(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # Progress goes to standard error, so that standard output is the result alone.
    talk, console = talk_of(options, stderr=True), Console()
    scenario, points = expanded(_scenario(options))
    if options.blocks is not None:
        if options.blocks < 1:
            raise UserError("--blocks: must be at least 1")
        scenario = scenario.model_copy(update={"blocks": options.blocks})
    notes = {"points": [point.as_json() for point in points]}
    finished = asyncio.run(profile(Options(scenario, str(options.scenario), options.out, notes), talk))
    run = read_run(finished.run)
    if finished.stopped:
        talk.print(f"[yellow]stopped early:[/] {plain(finished.stopped)}")
    if not run.sources:
        raise UserError(f"{finished.run}: no trial was finished: run the sweep again")
    result = analyse(run)
    show_sweep(result, options.tax, options.format, console)
    tell_end(talk, run, result)
    return 1 if finished.stopped else 0


def show_sweep(result: RunResult, weighed: str, how: str, console: Console) -> None:
    """Print a stored sweep as `terminal` or `json`."""
    found = sweep_result(result, weighed)
    if how == "json":
        print(json.dumps(sweep_json(found), indent=2))
    else:
        print_sweep(found, console)
        print_problems(result, console)


def _scenario(options: argparse.Namespace) -> Scenario:
    """The scenario with the grid of the flags over its own.

    Raises:
        UserError: the file, or a flag that states no grid.
    """
    if options.guards:
        raise UserError("--guards: the grid names the guards of a sweep: leave it out, or use --stack")
    scenario = load_scenario(options.scenario)
    if options.model:
        scenario = scenario.model_copy(update={"model": options.model})
    stated = scenario.sweep or SweepConfig()
    grid = dict(_axis(text) for text in options.grid) or stated.grid
    stack = [name.strip() for name in options.stack.split(",")] if options.stack else stated.stack
    return scenario.model_copy(update={"sweep": SweepConfig(grid=grid, stack=stack)})


def _axis(text: str) -> tuple[str, list[Any]]:
    """`input.threshold=0.3,0.5` as a key and its values, which are YAML."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip():
        raise UserError(
            f"--grid: `{text}` states no values: write GUARD.KEY=VALUE,..., such as input.threshold=0.3,0.5"
        )
    try:
        found = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError:
        raise UserError(f"--grid: `{values}` is no list of values: separate them by commas") from None
    return key.strip(), list(found)
