"""The queueing check of a capacity plan: measured beside predicted, a table an arm."""

import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table

from profiler.analysis.curve_check import CheckedRate, CurveCheck
from profiler.analysis.percentiles import Objective
from profiler.capacity_plan.result import PlanResult
from profiler.report.attribution import interval_json
from profiler.report.text import plain


def check_tables(result: PlanResult) -> Iterator[tuple[str, Table]]:
    """A line and a table of each arm: the objective that ends its capacity, else the first; JSON has all."""
    for name, arm in result.arms.items():
        bound = arm.capacity.bound or result.asked.objectives[0]
        check = arm.capacity.checks.get(bound.name)
        if check is not None and check.rates:
            yield _line(name, bound, check), _table(check)


def _line(arm: str, bound: Objective, check: CurveCheck) -> str:
    off = 0.0 if check.error is None else 100 * check.error
    said = check.why if check.curve is None else f"the {check.curve} curve through the others is off by {off:.0f} %"
    return f"Queueing check of {arm}, {bound.words} in ms: {said}{'' if check.curve is None else ' (median)'}."


def _table(check: CurveCheck) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0))
    for name in ("requests/s", "requests", "measured, 95 %", "predicted", "off"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for one in check.rates:
        table.add_row(*_cells(one))
    return table


def _cells(one: CheckedRate) -> tuple[str, ...]:
    low, high = (f"{end:.4g}" if math.isfinite(end) else "?" for end in (one.measured.low, one.measured.high))
    predicted = "-" if one.predicted is None else f"{one.predicted:.4g}"
    off = "-" if one.off is None else f"{round(100 * one.off) + 0.0:+.0f} %"
    measured = plain(f"{one.measured.estimate:.4g} [{low}, {high}]")
    return f"{one.rate_hz:.3g}", str(one.requests), measured, predicted, off, "parts" if one.parts else ""


def check_json(check: CurveCheck) -> dict[str, Any]:
    """The same as data; ms."""
    return {
        "curve": check.curve,
        "median_error": check.error,
        "not_checked": check.why or None,
        "rates": [
            {
                "rate_hz": one.rate_hz,
                "requests": one.requests,
                "measured_ms": interval_json(one.measured),
                "predicted_ms": one.predicted,
                "parts": one.parts,
            }
            for one in check.rates
        ],
    }
