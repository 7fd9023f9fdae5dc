"""`alignment-tax compare`."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from profiler.analysis.run_comparison import compare_runs
from profiler.commands.parser import Commands
from profiler.commands.stored import profiled
from profiler.report.run_comparison import print_run_comparison, run_comparison_json


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("compare", help="two runs or more: arms with the same guards, and what differs")
    parser.add_argument("first", type=Path, metavar="RUN_A", help="what the others are compared with")
    parser.add_argument("others", type=Path, nargs="+", metavar="RUN_B", help="a run, or several")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    first = profiled(options.first)
    found = [compare_runs(first, profiled(path)) for path in options.others]
    if options.format == "json":
        print(json.dumps({"schema": 1, "comparisons": [run_comparison_json(one) for one in found]}, indent=2))
        return 0
    console = Console()
    for one in found:
        print_run_comparison(one, console)
    return 0
