"""A gate's decision: a line an arm and limit, and as data."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.stats import Interval
from profiler.gate.decision import Decided, Gate
from profiler.gate.limit import Limit
from profiler.report.attribution import interval_json
from profiler.report.text import plain

_WORDS = {"met": "met", "broken": "BROKEN", "undecided": "undecided"}
_SAID = {
    "met": "Gate: met: every limit is kept.",
    "broken": "Gate: BROKEN: a limit is not kept.",
    "undecided": "Gate: undecided: no limit is broken, and not all are shown to be kept.",
}


def print_gate(gate: Gate, console: Console) -> None:
    """Print the decision first, then the table, then why what is not decided is not."""
    console.print(f"[bold]{_SAID[gate.state]}[/]")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("arm", "limit"):
        table.add_column(name, overflow="fold")
    table.add_column("measured, 95 %", justify="right", overflow="fold")
    table.add_column("", no_wrap=True)
    for one in gate.results:
        word = _WORDS[one.state]
        state = f"[bold]{word}[/]" if one.state == "broken" else word
        table.add_row(plain(one.arm), plain(limit_text(one.limit)), plain(measured(one)), state)
    console.print(table)
    for line in reasons(gate):
        console.print(plain(line), highlight=False)
    console.print(
        f"A limit with a sign is on the difference to {plain(gate.against)}. Met: the whole interval keeps it; "
        "broken: none of it does.",
        highlight=False,
    )
    if gate.other:
        console.print("Two runs of one scenario can differ by more than the blocks of either.", highlight=False)
    for warning in gate.warnings:
        console.print(f"[yellow]warning:[/] {plain(warning)}", highlight=False)


def limit_text(limit: Limit) -> str:
    """As it was given, with what it bounds."""
    return f"{'at most' if limit.side == 'max' else 'at least'} {limit.text}"


def reasons(gate: Gate) -> list[str]:
    """Why what is not decided is not; a reason that is the same for all is said once."""
    said: dict[str, list[str]] = {}
    for one in gate.results:
        if one.state == "undecided":
            said.setdefault(one.why, []).append(f"{one.arm}, {one.limit.text}")
    whole = len(gate.results)
    return [
        f"Undecided: {'all limits' if len(where) == whole > 1 else '; '.join(where)}: {why}."
        for why, where in said.items()
    ]


def measured(one: Decided) -> str:
    """The figure and its interval in the limit's unit; n/m where there is none."""
    if one.interval is None:
        return "n/m"
    limit, percent = one.limit, one.limit.scale == "relative" or one.limit.word.unit == "%"
    unit = "%" if percent else limit.word.unit
    return f"{_range(one.interval, 100.0 if percent else 1.0, signed=limit.scale != 'own')} {unit}"


def _range(interval: Interval, scale: float, *, signed: bool) -> str:
    values = [scale * value for value in (interval.estimate, interval.low, interval.high)]
    largest = max(abs(value) for value in values)
    digits = 0 if largest >= 1000 or largest == 0 else 1 if largest >= 10 else 2 if largest >= 1 else 4
    centre, low, high = (f"{round(v, digits) + 0.0:{'+' if signed else ''}.{digits}f}" for v in values)
    return f"{centre} [{low}, {high}]"


def gate_json(gate: Gate) -> dict[str, Any]:
    """The document that `--format json` prints; figures in the analysis's units, ratios and shares as such."""
    return {
        "schema": 1,
        "gate": gate.state,
        "run": {"id": gate.run.run.manifest["id"], "path": str(gate.run.run.path), "valid": gate.run.valid},
        "against": gate.against,
        "limits": [_one_json(one) for one in gate.results],
        "warnings": list(gate.warnings),
    }


def _one_json(one: Decided) -> dict[str, Any]:
    limit = one.limit
    return {
        "arm": one.arm,
        "metric": limit.word.name,
        "side": limit.side,
        "limit": limit.text,
        "scale": limit.scale,
        "bound": limit.bound,
        "unit": "ratio" if limit.scale == "relative" else "share" if limit.word.unit == "%" else limit.word.unit,
        "measured": interval_json(one.interval),
        "state": one.state,
        "why": one.why or None,
    }
