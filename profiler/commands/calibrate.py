"""`alignment-tax calibrate`."""

import argparse
import asyncio
import json
import os

from rich.console import Console

from profiler.analysis.tax import analyse
from profiler.calibration.modelled import calibrate_modelled
from profiler.calibration.modelled_run import Setting
from profiler.calibration.real import calibrate, statements
from profiler.commands.parser import Commands
from profiler.commands.profile import add_run_flags, scenario_from
from profiler.commands.talk import Talk
from profiler.errors import UserError
from profiler.prompts import read_prompt_sets
from profiler.records.store import StoredRun, read_run
from profiler.report.calibration import modelled_json, print_modelled, print_statements, statements_json
from profiler.report.terminal import print_problems
from profiler.report.text import printable
from profiler.scenario import Scenario

# About five minutes on two cores.
_BLOCKS = 7
_REPEATS = 200


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("calibrate", help="inject taxes that are known and see what is recovered")
    add_run_flags(parser)
    parser.add_argument("--modelled", action="store_true", help="many times over on the modelled engine")
    parser.add_argument("--repeats", type=int, help=f"with --modelled (default: {_REPEATS})")
    parser.add_argument("--blocks", type=int, help=f"number of blocks (default: {_BLOCKS}; modelled: the quickstart's)")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.repeats is not None and not options.modelled:
        raise UserError("--repeats: needs --modelled; on the real engine --blocks says how long it takes")
    if options.repeats is not None and options.repeats < 1:
        raise UserError("--repeats: must be at least 1")
    if options.blocks is not None and options.blocks < 2:
        raise UserError("--blocks: must be at least 2, since one block has no interval")
    if options.guards:
        raise UserError("--guards: the controls take the guards' place: leave it out")
    scenario = scenario_from(options)
    # Progress goes to standard error, so that standard output is the result alone.
    talk, console = Talk(stderr=True), Console()
    return _modelled(scenario, options, talk, console) if options.modelled else _real(scenario, options, talk, console)


def _modelled(scenario: Scenario, options: argparse.Namespace, talk: Console, console: Console) -> int:
    scenario = scenario.model_copy(update={"blocks": options.blocks or scenario.blocks})

    def progress(what: str, done: int, total: int) -> None:
        if done % max(total // 10, 1) == 0:
            talk.print(f"{what} {done}/{total}", highlight=False)

    repeats = options.repeats or _REPEATS
    workers = min(os.cpu_count() or 1, repeats)
    found = calibrate_modelled(Setting(scenario, read_prompt_sets(scenario)), repeats, workers, progress)
    if options.format == "json":
        print(json.dumps(modelled_json(found), indent=2))
    else:
        print_modelled(found, console)
    return 0


def _real(scenario: Scenario, options: argparse.Namespace, talk: Console, console: Console) -> int:
    scenario = scenario.model_copy(update={"blocks": options.blocks or _BLOCKS})
    finished = asyncio.run(calibrate(scenario, str(options.scenario), options.out, talk))
    run = read_run(finished.run)
    if finished.stopped:
        talk.print(f"stopped early: {printable(finished.stopped)}", markup=False)
    if not run.sources:
        raise UserError(f"{finished.run}: no trial was finished: run `alignment-tax calibrate` again")
    show_calibration(run, options.format, console)
    return 1 if finished.stopped else 0


def show_calibration(run: StoredRun, how: str, console: Console) -> None:
    """Print a stored calibration as `terminal` or `json`."""
    result = analyse(run)
    found = statements(result)
    if how == "json":
        print(json.dumps(statements_json(result, found), indent=2))
    else:
        print_statements(found, console)
        print_problems(result, console)
