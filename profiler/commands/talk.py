"""How much a command says while it works: flags that they share."""

import argparse
import sys

from rich.console import Console

from profiler.analysis.tax import RunResult
from profiler.errors import UserError
from profiler.records.store import StoredRun
from profiler.report.live.event_console import EventConsole
from profiler.report.text import printable


class Talk(Console):
    """What is said beside the result: a reader who leaves is told no more, and ends no measurement."""

    def on_broken_pipe(self) -> None:
        """Fall silent, where rich would end the program."""
        self.quiet = True


def add_talk_flags(parser: argparse.ArgumentParser) -> None:
    """Add --quiet and --json-progress."""
    parser.add_argument("--quiet", action="store_true", help="print nothing but the result, and errors")
    parser.add_argument(
        "--json-progress",
        action="store_true",
        help="one JSON object a line on standard error for each event of the run",
    )


def talk_of(options: argparse.Namespace, *, stderr: bool = False) -> Console:
    """The console that takes what is said beside the result; `stderr`: also where it is for people.

    Raises:
        UserError: both flags.
    """
    if options.quiet and options.json_progress:
        raise UserError("--quiet: says nothing, --json-progress says all: give one of them")
    if options.json_progress:
        events = options.events = EventConsole(sys.stderr)
        return events
    return Talk(stderr=stderr, quiet=options.quiet)


def tell_end(talk: Console, run: StoredRun, result: RunResult | None) -> None:
    """The last events of a run, for a program; people see them in the result."""
    if not isinstance(talk, EventConsole):
        return
    if result is not None:
        for text in (*result.warnings, *(f"{finding.arm}: {finding.text}" for finding in result.findings)):
            talk.emit("warning", text=printable(text))
    valid = None if result is None else result.valid
    talk.emit("run_finished", run=str(run.path), ending=run.ending, complete=run.complete, valid=valid)
