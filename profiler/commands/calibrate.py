"""`alignment-tax calibrate`."""

import argparse
import asyncio
import json
import os
from pathlib import Path

from rich.console import Console

from profiler.analysis.tax import analyse
from profiler.calibration.modelled import calibrate_modelled
from profiler.calibration.modelled_run import Setting
from profiler.calibration.real import calibrate, statements
from profiler.commands.parser import Commands
from profiler.commands.profile import QUICKSTART
from profiler.errors import UserError
from profiler.prompts import read_prompt_sets
from profiler.records.store import read_run
from profiler.report.calibration import modelled_json, print_modelled, print_statements, statements_json
from profiler.scenario import Scenario, load_scenario

# About five minutes on two cores.
_BLOCKS = 7


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("calibrate", help="inject taxes that are known and see what is recovered")
    parser.add_argument("--modelled", action="store_true", help="many times over on the modelled engine")
    parser.add_argument("--repeats", type=int, default=200, help="with --modelled (default: 200)")
    parser.add_argument("--blocks", type=int, help=f"number of blocks (default: {_BLOCKS}; modelled: the quickstart's)")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the run (default: results)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.repeats < 1:
        raise UserError("--repeats: must be at least 1")
    if options.blocks is not None and options.blocks < 2:
        raise UserError("--blocks: must be at least 2, since one block has no interval")
    scenario = load_scenario(QUICKSTART)
    # Progress goes to standard error, so that standard output is the result alone.
    talk, console = Console(stderr=True), Console()
    return _modelled(scenario, options, talk, console) if options.modelled else _real(scenario, options, talk, console)


def _modelled(scenario: Scenario, options: argparse.Namespace, talk: Console, console: Console) -> int:
    scenario = scenario.model_copy(update={"blocks": options.blocks or scenario.blocks})

    def progress(what: str, done: int, total: int) -> None:
        if done % max(total // 10, 1) == 0:
            talk.print(f"{what} {done}/{total}", highlight=False)

    workers = min(os.cpu_count() or 1, options.repeats)
    found = calibrate_modelled(Setting(scenario, read_prompt_sets(scenario)), options.repeats, workers, progress)
    if options.format == "json":
        print(json.dumps(modelled_json(found), indent=2))
    else:
        print_modelled(found, console)
    return 0


def _real(scenario: Scenario, options: argparse.Namespace, talk: Console, console: Console) -> int:
    scenario = scenario.model_copy(update={"blocks": options.blocks or _BLOCKS})
    finished = asyncio.run(calibrate(scenario, str(QUICKSTART), options.out, talk))
    run = read_run(finished.run)
    if finished.stopped:
        talk.print(f"stopped early: {finished.stopped}", markup=False)
    if not run.sources:
        raise UserError(f"{finished.run}: no trial was finished: run `alignment-tax calibrate` again")
    found = statements(analyse(run))
    if options.format == "json":
        print(json.dumps({"run": str(finished.run), **statements_json(found)}, indent=2))
    else:
        print_statements(found, console)
    return 1 if finished.stopped else 0
