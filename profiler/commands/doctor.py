"""`alignment-tax doctor`."""

import argparse
import json
import sys

from profiler.commands.parser import Commands
from profiler.doctor import as_json, as_lines, diagnose


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("doctor", help="say what this machine can measure, what not, why, and the cure")
    parser.add_argument("--no-noise", action="store_true", help="leave the noise floor out, which takes ten seconds")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not options.no_noise:
        print("watching the machine's noise for ten seconds", file=sys.stderr)
    found = diagnose(noise=not options.no_noise)
    if options.format == "json":
        print(json.dumps(as_json(found), indent=2))
    else:
        print("\n".join(as_lines(found)))
    return 0
