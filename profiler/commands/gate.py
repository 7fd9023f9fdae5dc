"""`alignment-tax gate`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from profiler.analysis.tax import RunResult
from profiler.commands.parser import Commands
from profiler.commands.pipe import reader_may_leave
from profiler.commands.stored import profiled
from profiler.errors import UserError
from profiler.gate.decision import Gate, decide
from profiler.gate.limit import Limit, parse_limit
from profiler.report.gate import gate_json, print_gate
from profiler.report.gate_junit import gate_junit
from profiler.report.markdown import MarkdownConsole
from profiler.report.text import printable
from profiler.scenario import BASELINE

_STATUS = {"met": 0, "broken": 1, "undecided": 3}


def add(commands: Commands) -> None:
    """Add the command and its flags."""
    parser = commands.add_parser("gate", help="hold a run to limits: exit 0 met, 1 broken, 3 undecided")
    parser.add_argument("path", type=Path, metavar="RUN", help="a folder under results/, such as results/latest")
    parser.add_argument(
        "--max", action="append", default=[], metavar="LIMIT",
        help="'ttft_p99 +10%%', 'ttft_p50 +20ms', 'e2el_p99 2s'; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--min", action="append", default=[], metavar="LIMIT", help="'block_recall 90%%'; may be given again"
    )
    parser.add_argument(
        "--arm", action="append", default=[], help="hold this arm to them (default: all but the baseline)"
    )
    parser.add_argument("--baseline", type=Path, metavar="RUN", help="differences are to the same arm of this run")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML, a test case a limit and arm")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a summary for a pull request")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    limits = [*_limits("max", options.max), *_limits("min", options.min)]
    if not limits:
        raise UserError("gate: no limit: give --max 'ttft_p99 +10%' or --min 'block_recall 90%'")
    result = profiled(options.path)
    arms = _arms(result, options.arm, limits, options.baseline)
    gate = decide(result, limits, arms, None if options.baseline is None else profiled(options.baseline))
    if options.junit is not None:
        _write("--junit", options.junit, gate_junit(gate))
    if options.markdown is not None:
        _write("--markdown", options.markdown, _markdown(gate).encode())
    # The status is the decision, whether or not its page is read to the end.
    with reader_may_leave():
        if options.format == "json":
            print(json.dumps(gate_json(gate), indent=2))
        else:
            print_gate(gate, Console())
    return _STATUS[gate.state]


def _limits(side: str, texts: Sequence[str]) -> list[Limit]:
    try:
        return [parse_limit("max" if side == "max" else "min", text) for text in texts]
    except ValueError as error:
        raise UserError(f"--{side}: {error}") from None


def _arms(result: RunResult, asked: Sequence[str], limits: Sequence[Limit], other: Path | None) -> list[str]:
    """The arms to judge.

    Raises:
        UserError: an arm that the run does not have, or none to judge.
    """
    for arm in asked:
        if arm not in result.arms:
            raise UserError(f"--arm: no arm `{printable(arm)}` in this run: there are {', '.join(result.arms)}")
    if BASELINE in asked and other is None and (signed := [one for one in limits if one.scale != "own"]):
        raise UserError(f"--arm: {BASELINE} is what {signed[0].flag} is measured against: give --baseline RUN")
    arms = list(dict.fromkeys(asked)) or [arm for arm in result.arms if arm != BASELINE]
    if not arms:
        raise UserError(f"gate: this run has no arm but the baseline: give --arm {BASELINE} to judge that")
    return arms


def _markdown(gate: Gate) -> str:
    page = MarkdownConsole()
    print_gate(gate, page)
    return page.page


def _write(flag: str, path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{flag}: {path} cannot be written: {error.strerror}") from None
