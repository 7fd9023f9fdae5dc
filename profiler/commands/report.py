"""`alignment-tax report`."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from profiler.analysis.tax import analyse
from profiler.commands.parser import Commands
from profiler.errors import UserError
from profiler.records.store import read_run
from profiler.report.as_json import to_json
from profiler.report.terminal import print_result


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("report", help="show a stored run again")
    parser.add_argument("path", type=Path, metavar="RUN", help="a folder under results/, such as results/latest")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    run = read_run(options.path)
    if not run.sources:
        raise UserError(f"{options.path}: no finished trial in this run: run `alignment-tax profile` again")
    result = analyse(run)
    if options.format == "json":
        print(json.dumps(to_json(result), indent=2))
    else:
        print_result(result, Console())
    return 0
