"""`alignment-tax report`."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from profiler.analysis.tax import analyse
from profiler.calibration.real import KIND as CALIBRATION
from profiler.commands.calibrate import show_calibration
from profiler.commands.parser import Commands
from profiler.commands.saturate import show_saturation
from profiler.commands.sweep import show_sweep
from profiler.errors import UserError
from profiler.percent import share_flag
from profiler.records.store import read_run
from profiler.report.as_json import to_json
from profiler.report.categories_table import print_categories
from profiler.report.more import more_json, print_more
from profiler.report.terminal import print_place, print_result
from profiler.saturation.result import KIND
from profiler.sweep.result import TAXES


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("report", help="show a stored run again")
    parser.add_argument("path", type=Path, metavar="RUN", help="a folder under results/, such as results/latest")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.add_argument(
        "--harmful", metavar="SHARE", help="work the tax out for another share of harmful requests: 2%%"
    )
    parser.add_argument("--categories", action="store_true", help="what the guards bought by category of prompt")
    parser.add_argument("--verify", action="store_true", help="compare every file, however large, with its SHA-256")
    parser.add_argument("--tax", choices=tuple(TAXES), default="e2el_mean", help="of a sweep: what the front weighs")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    harmful = None if options.harmful is None else share_flag("--harmful", options.harmful)
    run = read_run(options.path, options.verify)
    if not run.sources and run.damaged:
        raise UserError(f"{options.path}: none of its trials can be read: {'; '.join(run.damaged)}: run it again")
    if not run.sources:
        raise UserError(f"{options.path}: no finished trial in this run: run it again")
    if missing := [key for key in ("id", "facts", "arms") if key not in run.manifest]:
        raise UserError(f"{options.path / 'run.json'}: has no {', '.join(missing)}: it is not whole: run it again")
    if run.manifest.get("kind") == KIND:
        if harmful is not None:
            raise UserError(f"--harmful: {options.path} is a saturation sweep: its rates hold for its own prompts only")
        show_saturation(run, options.format)
        return 0
    if run.manifest.get("kind") == CALIBRATION:
        show_calibration(run, options.format, Console())
        return 0
    result = analyse(run)
    if run.manifest.get("points") and harmful is None:
        show_sweep(result, options.tax, options.format, Console())
        return 0
    if options.format == "json":
        print(json.dumps(to_json(result) | more_json(result, harmful), indent=2))
    else:
        console = Console()
        print_result(result, console)
        if options.categories:
            print_categories(result, console)
        print_more(result, harmful, console)
        print_place(result, console)
    return 0
