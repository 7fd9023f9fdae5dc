"""`alignment-tax doctor`."""

import argparse

from rich.console import Console

from profiler.commands.parser import Commands
from profiler.doctor import print_doctor


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="say what this machine can measure, and what not and why")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    print_doctor(Console())
    return 0
