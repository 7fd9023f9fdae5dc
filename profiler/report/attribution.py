"""What each guard of a stack costs, as a table and as data."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.attribution import Attributed, GuardCost, MetricCosts
from profiler.analysis.blocks import TOKENS_PER_S
from profiler.analysis.stats import Interval
from profiler.report.numbers import with_half_width
from profiler.report.text import plain

_WORDS = {"e2el_ms.mean": "E2EL mean, ms", "ttft_ms.mean": "TTFT mean, ms", TOKENS_PER_S: "output tok/s"}


_NOTE = (
    "Left out: the stack less the stack without that guard. Interaction: the stack less the sum of its guards alone."
)


def print_attribution(found: Sequence[Attributed], console: Console) -> None:
    """Print a table a stack, and what in it was not measured."""
    for one in found:
        console.print(_table(one))
        for what, why in _reasons(one).items():
            console.print(f"{plain(what)}: not measured: {plain(why)}", highlight=False)
    if found:
        console.print(_NOTE, highlight=False)


def _table(one: Attributed) -> Table:
    title = f"Which guard of {plain(one.arm)} costs what: mean ±95 %, against the baseline"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    for name in ("alone", "left out", "Shapley share"):
        table.add_column(name, justify="right", no_wrap=True)
    for costs in one.metrics:
        _add_metric(table, costs)
    return table


def _add_metric(table: Table, costs: MetricCosts) -> None:
    table.add_row(f"[bold]{_WORDS[costs.metric]}[/]")
    for guard in costs.guards:
        table.add_row(f" {plain(guard.guard)}", *map(_cell, (guard.alone, guard.left_out, guard.share)))
    table.add_row(" = the stack", "", "", f"[bold]{_cell(costs.stack)}[/]")
    table.add_row(" of which interaction", "", "", _cell(costs.interaction))
    table.add_section()


def _reasons(one: Attributed) -> dict[str, str]:
    """What was not measured, once where all metrics lack it alike."""
    found: dict[str, str] = {}
    for costs in one.metrics:
        for what, why in costs.not_measured.items():
            name = _WORDS[costs.metric] if what == "all" else what
            found[name] = why
    return found


def _cell(interval: Interval | None) -> str:
    return "-" if interval is None else with_half_width(interval)


def attribution_json(found: Iterable[Attributed]) -> dict[str, Any]:
    """The same as data, by arm and metric; null is what was not measured, with the reason."""
    return {
        one.arm: {"guards": list(one.guards), "metrics": {costs.metric: _metric_json(costs) for costs in one.metrics}}
        for one in found
    }


def _metric_json(costs: MetricCosts) -> dict[str, Any]:
    return {
        "unit": costs.unit,
        "blocks": costs.blocks,
        "stack": interval_json(costs.stack),
        "interaction": interval_json(costs.interaction),
        "guards": {guard.guard: _guard_json(guard) for guard in costs.guards},
        "not_measured": dict(costs.not_measured),
    }


def _guard_json(guard: GuardCost) -> dict[str, Any]:
    return {
        "alone": interval_json(guard.alone),
        "left_out": interval_json(guard.left_out),
        "shapley": interval_json(guard.share),
    }


def interval_json(interval: Interval | None) -> dict[str, Any] | None:
    """An estimate with its ends; null for none, and for an end that the data do not bound."""
    if interval is None:
        return None
    ends = [end if math.isfinite(end) else None for end in (interval.low, interval.high)]
    return {"estimate": interval.estimate, "ci95": ends}
