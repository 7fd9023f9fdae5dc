"""The command line: `alignment-tax profile | report | gate | compare | history | plan | sweep | ...`."""

import argparse
import sys
from collections.abc import Sequence

from guards.assets import AssetError
from guards.loading import GuardConfigError
from guards.scorers.worker import WorkerDied
from profiler.commands import calibrate, compare, doctor, gate, history, plan, profile, report, saturate, sweep
from profiler.commands.pipe import reader_may_leave
from profiler.errors import UserError
from profiler.report.live.event_console import EventConsole
from profiler.report.text import printable

_COMMANDS = (profile, report, gate, compare, history, sweep, saturate, plan, doctor, calibrate)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 ended early, 2 the user's to cure. `gate`: 0 met, 1 broken, 3 undecided."""
    options = _parser().parse_args(arguments)
    status = 0
    try:
        with reader_may_leave():
            status = int(options.run(options))
        return status
    except (UserError, AssetError, GuardConfigError, WorkerDied) as error:
        if options.debug:
            raise
        with reader_may_leave():
            _tell(printable(error), options)
        return 2
    except KeyboardInterrupt:
        print("alignment-tax: interrupted; trials that were finished are stored", file=sys.stderr)
        return 130


def _tell(error: str, options: argparse.Namespace) -> None:
    """An error: a line for a person, an event for a program."""
    if getattr(options, "json_progress", False):
        (getattr(options, "events", None) or EventConsole(sys.stderr)).emit("error", text=error)
    else:
        print(f"alignment-tax: {error}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alignment-tax", description="What does safety cost at inference time?")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add(commands)
    for added in commands.choices.values():
        added.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
