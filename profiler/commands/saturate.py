"""`alignment-tax saturate`."""

import argparse
import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from profiler.commands.parser import Commands
from profiler.commands.profile import add_run_flags, scenario_from
from profiler.commands.talk import add_talk_flags, talk_of, tell_end
from profiler.errors import UserError
from profiler.percent import share_flag
from profiler.records.store import StoredRun, read_run
from profiler.report.html.saturation_page import saturation_page_of
from profiler.report.html.write import print_page, put_page
from profiler.report.saturation import print_saturation, saturation_json
from profiler.report.text import printable
from profiler.saturation.probe import Goal
from profiler.saturation.result import saturation_result
from profiler.saturation.saturate import check_slo, saturate
from profiler.scenario import SloConfig


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    unless = Goal(SloConfig())
    parser = commands.add_parser("saturate", help="find the highest rate at which each arm keeps the scenario's SLO")
    add_run_flags(parser)
    parser.add_argument(
        "--good-fraction", default=str(unless.good_fraction), metavar="SHARE",
        help=f"requests that must meet the SLO (default: {unless.good_fraction:.0%}%)",
    )  # fmt: skip
    parser.add_argument(
        "--resolution", default=str(unless.resolution), metavar="SHARE",
        help=f"how narrowly to search (default: {unless.resolution:.0%}%)",
    )  # fmt: skip
    parser.add_argument(
        "--probe-seconds", type=float, default=unless.probe_seconds,
        help=f"how long a probe lasts, at least (default: {unless.probe_seconds:g})",
    )  # fmt: skip
    parser.add_argument(
        "--curve",
        action="store_true",
        help="also probe lower rates: the load-latency curve that `plan` checks itself on",
    )
    parser.add_argument("--report", type=Path, metavar="RUN", help="show a stored sweep again instead")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    add_talk_flags(parser)
    parser.set_defaults(run=_run)


def show_saturation(run: StoredRun, how: str, html: Path | None = None) -> None:
    """Print a stored sweep as `terminal`, `json` or `html`; with the terminal's table a page is written, to `html`.

    Raises:
        UserError: the run is no sweep, or `html` cannot be written.
    """
    result = saturation_result(run)
    if how == "json":
        print(json.dumps(saturation_json(result), indent=2))
    elif how == "html":
        print_page(saturation_page_of(result))
    else:
        console = Console()
        print_saturation(result, console)
        put_page(saturation_page_of(result), run.path, html, console)


def _run(options: argparse.Namespace) -> int:
    if options.report is not None:
        show_saturation(read_run(options.report), options.format)
        return 0
    goal = _goal(options)
    scenario, where = scenario_from(options), str(options.scenario)
    check_slo(scenario, where)
    goal = replace(goal, slo=scenario.slo)
    # Progress goes to standard error, so that standard output is the result alone.
    talk = talk_of(options, stderr=True)
    finished = asyncio.run(saturate(scenario, where, options.out, goal, talk))
    if finished.stopped:
        talk.print(f"stopped early: {printable(finished.stopped)}", markup=False)
    run = read_run(finished.run)
    if run.sources:
        show_saturation(run, options.format)
    else:
        talk.print(
            f"no probe was finished; nothing to report in {printable(finished.run)}", markup=False, soft_wrap=True
        )
    tell_end(talk, run, None)
    return 1 if finished.stopped else 0


def _goal(options: argparse.Namespace) -> Goal:
    """The goal of the flags; the objectives are the scenario's.

    Raises:
        UserError: a share or a time that makes no sense.
    """
    good, resolution = (
        _inside(flag, text)
        for flag, text in (("--good-fraction", options.good_fraction), ("--resolution", options.resolution))
    )
    if not 0 < options.probe_seconds < math.inf:
        raise UserError(f"--probe-seconds: {options.probe_seconds:g} is no time: give seconds above 0")
    return Goal(SloConfig(), good, resolution, options.probe_seconds, options.curve)


def _inside(flag: str, text: str) -> float:
    share = share_flag(flag, text)
    if not 0 < share < 1:
        raise UserError(f"{flag}: {text} must lie between 0 and 100 %, neither of them")
    return share
