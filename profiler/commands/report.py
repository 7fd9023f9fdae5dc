"""`alignment-tax report`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from profiler.analysis.tax import analyse
from profiler.calibration.real import KIND as CALIBRATION
from profiler.commands.calibrate import show_calibration
from profiler.commands.parser import Commands
from profiler.commands.saturate import show_saturation
from profiler.commands.scale import show_scale
from profiler.commands.stored import finished_run
from profiler.commands.sweep import show_sweep
from profiler.errors import UserError
from profiler.percent import share_flag
from profiler.records.store import StoredRun
from profiler.report.categories_table import print_categories
from profiler.report.formats import FORMATS, formatted
from profiler.report.html.page import page_of
from profiler.report.html.write import print_page, put_page
from profiler.report.more import print_more
from profiler.report.schema import schema_text
from profiler.report.terminal import print_place, print_result
from profiler.saturation.result import KIND
from profiler.sweep.result import TAXES


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("report", help="show a stored run again")
    parser.add_argument("path", type=Path, metavar="RUN", help="a folder under results/, such as results/latest")
    parser.add_argument(
        "more", type=Path, nargs="*", metavar="RUN", help="several runs at different model sizes: the tax against size"
    )
    parser.add_argument("--size", action="append", default=[], metavar="RUN=1.2B", help="parameters of a run's model")
    parser.add_argument("--format", choices=("terminal", *FORMATS), default="terminal")
    parser.add_argument("--html", type=Path, metavar="FILE", help="where the page goes (default: RUN/report.html)")
    parser.add_argument(
        "--harmful", metavar="SHARE", help="work the tax out for another share of harmful requests: 2%%"
    )
    parser.add_argument("--categories", action="store_true", help="what the guards bought by category of prompt")
    parser.add_argument("--verify", action="store_true", help="compare every file, however large, with its SHA-256")
    parser.add_argument("--schema", action=_Schema, help="print the JSON Schema of every --format json, and stop")
    parser.add_argument("--tax", choices=tuple(TAXES), default="e2el_mean", help="of a sweep: what the front weighs")
    parser.set_defaults(run=_run)


class _Schema(argparse.Action):
    """Like --version: wants no RUN."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(schema_text(), end="")
        parser.exit()


def _run(options: argparse.Namespace) -> int:
    if options.more:
        _check_several(options)
        return show_scale([options.path, *options.more], options.size, options.format, options.html)
    if options.size:
        raise UserError("--size: is for several runs at different model sizes: name them all")
    harmful = None if options.harmful is None else share_flag("--harmful", options.harmful)
    run = finished_run(options.path, options.verify)
    _check(options, run)
    if run.manifest.get("kind") == KIND:
        if harmful is not None:
            raise UserError(f"--harmful: {options.path} is a saturation sweep: its rates hold for its own prompts only")
        show_saturation(run, options.format, options.html)
        return 0
    if run.manifest.get("kind") == CALIBRATION:
        show_calibration(run, options.format, Console())
        return 0
    result = analyse(run)
    if run.manifest.get("points") and harmful is None and options.format in ("terminal", "json"):
        show_sweep(result, options.tax, options.format, Console())
        return 0
    if options.format != "terminal":
        text = formatted(result, options.format, harmful, categories=options.categories)
        if options.format == "html":
            print_page(text)
        else:
            print(text, end="")
        return 0
    console = Console()
    print_result(result, console)
    if options.categories:
        print_categories(result, console)
    print_more(result, harmful, console)
    if not run.manifest.get("points"):
        put_page(page_of(result, harmful), result.run.path, options.html, console)
    print_place(result, console)
    return 0


def _check_several(options: argparse.Namespace) -> None:
    """Refuse what is of one run.

    Raises:
        UserError: the flag.
    """
    asked = {"--harmful": options.harmful, "--categories": options.categories, "--verify": options.verify}
    if given := [flag for flag, value in asked.items() if value]:
        raise UserError(f"{given[0]}: is for one run: leave it out, or name one run alone")


def _check(options: argparse.Namespace, run: StoredRun) -> None:
    """Refuse a format that this kind of run does not have.

    Raises:
        UserError: the flag, and what to use instead.
    """
    asked = f"--format {options.format}" if options.html is None else "--html"
    if options.html is not None and options.format != "terminal":
        raise UserError(f"--html: goes with the terminal's tables: leave --format {options.format} out")
    kind, page = run.manifest.get("kind"), asked in ("--format html", "--html")
    if asked in ("--format terminal", "--format json") or (kind == KIND and page):
        return
    if kind in (KIND, CALIBRATION):
        raise UserError(f"{asked}: {options.path} is no run of `profile`: use terminal or json")
    if page and run.manifest.get("points"):
        raise UserError(f"{asked}: {options.path} is a sweep, which has no page: use terminal or json")
