"""The command line: `alignment-tax profile | report | doctor`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from guards.assets import AssetError
from guards.scorers.worker import WorkerDied
from profiler.analysis.tax import analyse
from profiler.doctor import print_doctor
from profiler.errors import UserError
from profiler.profile import Options, profile
from profiler.records.store import read_run
from profiler.report.as_json import to_json
from profiler.report.terminal import print_result
from profiler.scenario import load_scenario

QUICKSTART = Path(__file__).parent.parent / "scenarios" / "quickstart.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 ended early, 2 the user's to cure."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (UserError, AssetError, WorkerDied) as error:
        if options.debug:
            raise
        print(f"alignment-tax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("alignment-tax: interrupted before the first trial; nothing was stored", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has left: nothing more to say.
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alignment-tax", description="What does safety cost at inference time?")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("profile", help="measure what guards cost around a vLLM model")
    run.add_argument("--model", help="hub id or folder (default: the scenario's)")
    run.add_argument("--scenario", type=Path, default=QUICKSTART, help="default: scenarios/quickstart.yaml")
    run.add_argument("--guards", help="comma-separated guards of the scenario: each alone, then all together")
    run.add_argument("--out", type=Path, default=Path("results"), help="folder for the run (default: results)")
    run.add_argument("--blocks", type=int, help="number of blocks (default: the scenario's)")
    run.set_defaults(run=_profile)
    report = commands.add_parser("report", help="show a stored run again")
    report.add_argument("path", type=Path, metavar="RUN", help="a folder under results/, such as results/latest")
    report.add_argument("--format", choices=("terminal", "json"), default="terminal")
    report.set_defaults(run=_report)
    doctor = commands.add_parser("doctor", help="say what this machine can measure, and what not and why")
    doctor.set_defaults(run=_doctor)
    for command in (run, report, doctor):
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _profile(options: argparse.Namespace) -> int:
    console = Console()
    scenario = load_scenario(options.scenario)
    if options.model:
        scenario = scenario.model_copy(update={"model": options.model})
    if options.blocks is not None:
        if options.blocks < 1:
            raise UserError("--blocks: must be at least 1")
        scenario = scenario.model_copy(update={"blocks": options.blocks})
    guards = [name.strip() for name in options.guards.split(",") if name.strip()] if options.guards else None
    finished = asyncio.run(profile(Options(scenario, str(options.scenario), options.out, guards), console))
    run = read_run(finished.run)
    if finished.stopped:
        console.print(f"[yellow]stopped early:[/] {escape(finished.stopped)}")
    if run.trials:
        print_result(analyse(run), console)
    else:
        console.print(f"no trial was finished; nothing to report in {escape(str(finished.run))}", soft_wrap=True)
    return 1 if finished.stopped else 0


def _report(options: argparse.Namespace) -> int:
    run = read_run(options.path)
    if not run.trials:
        raise UserError(f"{options.path}: no finished trial in this run: run `alignment-tax profile` again")
    result = analyse(run)
    if options.format == "json":
        print(json.dumps(to_json(result), indent=2))
    else:
        print_result(result, Console())
    return 0


def _doctor(options: argparse.Namespace) -> int:
    print_doctor(Console())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
