"""The rows of the view as lines of text: figures, sparklines on one scale for all arms, the tax and its width."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from profiler.analysis.until import TOKENS
from profiler.report.live.outline import Outline
from profiler.report.live.rows import Cell, Row, fitting
from profiler.report.live.sparkline import sparkline
from profiler.report.numbers import signed
from profiler.scenario import BASELINE

Line = tuple[str, str]
"""A line and its style."""
_NAME, _NUMBER, _TAX, _WIDTHS = 14, 7, 15, 8
_LEAST_SPARK, _LEAST_NAME = 4, 4
_NO_FIGURE = "-"


@dataclass(frozen=True)
class _Columns:
    """How many cells each part has; 0: it is left out. `pairs`: how many of tok/s and TTFT there are."""

    name: int
    pairs: int
    spark: int
    tax: int
    widths: int


def table(rows: Sequence[Row], outline: Outline, width: int, lines: int, *, ascii_only: bool = False) -> list[Line]:
    """A header and as many rows as fit into `lines`, each at most `width` cells wide where that is 10 or more."""
    shown, hidden = fitting(rows, lines - 1)
    longest_tax = max((cell_len(_tax(row)) for row in shown if row.arm != BASELINE), default=0)
    columns = _columns(width, max((cell_len(row.name) for row in shown), default=0), max(_TAX, longest_tax))
    tops = _top(row.rate_cells for row in shown), _top(row.ttft_cells for row in shown)
    found = [(_header(outline, columns), "dim")]
    found += [(_line(row, columns, tops, ascii_only), "bold" if row.running else "") for row in shown]
    return [*found, (f"  and {hidden} more", "dim")] if hidden else found


def _columns(width: int, longest: int, longest_tax: int) -> _Columns:
    """A column that does not fit is left out, TTFT before tok/s; a name is shortened, a figure never."""
    name, pairs = min(_NAME, longest), 2
    while pairs and width - 2 - pairs * (1 + _NUMBER) < min(name, _LEAST_NAME):
        pairs -= 1
    left = width - 2 - pairs * (1 + _NUMBER)
    name = max(0, min(name, left))
    left -= name
    if pairs < 2:
        return _Columns(name, pairs, 0, 0, 0)
    tax = longest_tax if left >= longest_tax + 2 else 0
    left -= tax + 2 if tax else 0
    spark = min(30, (left - _WIDTHS - 1) // 2 - 1)
    if spark >= _LEAST_SPARK and tax:
        return _Columns(name, pairs, spark, tax, _WIDTHS)
    spark = left // 2 - 1
    return _Columns(name, pairs, spark if spark >= _LEAST_SPARK else 0, tax, 0)


def _header(outline: Outline, columns: _Columns) -> str:
    gap = " " * (columns.spark + 1 if columns.spark else 0)
    pair = "".join(f" {title:>{_NUMBER}}{gap}" for title in ("tok/s", "TTFT ms")[: columns.pairs])
    goal = "" if outline.until is None else f" to ±{100 * outline.until.half_width:g} %"
    metric = "tok/s" if outline.metric == TOKENS else outline.metric
    tax = f"  tax on {metric}{goal}" if columns.tax else ""
    return f"{' ' * (2 + columns.name)}{pair}{tax}"


def _line(row: Row, columns: _Columns, tops: tuple[float, float], ascii_only: bool) -> str:
    line = ("> " if row.running else "  ") + set_cell_size(row.name, columns.name)
    pairs = ((row.tokens_per_s, row.rate_cells, tops[0]), (row.ttft_ms, row.ttft_cells, tops[1]))
    for figure, cells, top in pairs[: columns.pairs]:
        line += f" {_figure(figure):>{_NUMBER}}"
        if columns.spark:
            line += " " + sparkline(cells, columns.spark, top, ascii_only=ascii_only).ljust(columns.spark)
    if not columns.tax or row.arm == BASELINE:
        return line.rstrip()
    widths = [width for width in row.widths if math.isfinite(width)]
    shown = sparkline(widths, columns.widths, max(widths, default=0.0), ascii_only=ascii_only)
    return f"{line}  {_tax(row):<{columns.tax}} {shown}".rstrip()


def _top(columns: Iterable[Sequence[Cell]]) -> float:
    return max((value for cells in columns for value in cells if value is not None), default=0.0)


def _figure(value: float | None) -> str:
    if value is None:
        return _NO_FIGURE
    shown = f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
    return shown if len(shown) <= _NUMBER else f"{value:.1e}"


def _tax(row: Row) -> str:
    if row.standing is None:
        return _NO_FIGURE
    if not math.isfinite(row.standing.half_width):
        return "not bounded yet"
    estimate, width = signed(100 * row.standing.relative.estimate, 100 * row.standing.half_width, most_digits=1)
    return f"{estimate} ±{width.lstrip('+')} %"
