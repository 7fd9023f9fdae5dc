"""The command line: `alignment-tax profile | report | gate | compare | sweep | saturate | plan | doctor | ...`."""

import argparse
import sys
from collections.abc import Sequence

from guards.assets import AssetError
from guards.loading import GuardConfigError
from guards.scorers.worker import WorkerDied
from profiler.commands import calibrate, compare, doctor, gate, plan, profile, report, saturate, sweep
from profiler.errors import UserError
from profiler.report.text import printable

_COMMANDS = (profile, report, gate, compare, sweep, saturate, plan, doctor, calibrate)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 ended early, 2 the user's to cure. `gate`: 0 met, 1 broken, 3 undecided."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (UserError, AssetError, GuardConfigError, WorkerDied) as error:
        if options.debug:
            raise
        print(f"alignment-tax: {printable(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("alignment-tax: interrupted; trials that were finished are stored", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has left: nothing more to say.
        sys.stderr.close()
        return 0


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
