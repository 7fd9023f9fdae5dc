"""A series as a picture of a few lines: a mark a run, its interval as a bar, changes of level as dashed lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from profiler.analysis.stats import Interval

_LINES, _LABEL = 7, 10
_MARK, _BAR, _CHANGE = "●", "│", "┊"
IN_ASCII = str.maketrans("●│┊┤–−", "*|:|--")
"""For a terminal that has no more."""


@dataclass(frozen=True)
class Picture:
    """`lines` to print; `shown` the runs that fit, the last ones; `columns` where each of them stands."""

    lines: tuple[str, ...]
    shown: range
    columns: tuple[int, ...]


def picture(points: Sequence[Interval], changes: Sequence[int], width: int, unit: str) -> Picture:
    """Points in the order of the runs; `changes` index those with which a new level begins."""
    room = max(1, width - _LABEL - 3)
    step = 2 if 2 * (len(points) + len(changes)) <= room else 1
    count = len(points)
    while count > 1 and step * (count + sum(at > len(points) - count for at in changes)) > room:
        count -= 1
    shown = range(len(points) - count, len(points))
    low, high = _scale([points[i] for i in shown])
    columns, cells = list[int](), list[list[str]]()
    for place in shown:
        if place in changes and place != shown.start:
            cells += [[_CHANGE] * _LINES, *[[" "] * _LINES] * (step - 1)]
        columns.append(len(cells))
        cells.append(_column(points[place], low, high))
        cells += [[" "] * _LINES] * (step - 1)
    lines = []
    for line in range(_LINES):
        label = _label(low, high, line, unit)
        lines.append(f"{label:>{_LABEL}} ┤ " + "".join(column[line] for column in cells).rstrip())
    return Picture(tuple(lines), shown, tuple(_LABEL + 3 + column for column in columns))


def _scale(points: Sequence[Interval]) -> tuple[float, float]:
    """From the lowest to the highest: the intervals' ends, but no further than three times the figures' spread."""
    figures = [p.estimate for p in points]
    least, most = min(figures), max(figures)
    reach = 3 * (most - least) or abs(most) * 0.1 or 1.0
    low = max(min(p.low for p in points), least - reach)
    high = min(max(p.high for p in points), most + reach)
    return (low, high) if high > low else (low - reach, high + reach)


def _column(point: Interval, low: float, high: float) -> list[str]:
    bottom, middle, top = (_line(value, low, high) for value in (point.low, point.estimate, point.high))
    return [_MARK if line == middle else _BAR if top <= line <= bottom else " " for line in range(_LINES)]


def _line(value: float, low: float, high: float) -> int:
    """0 is the top line."""
    share = (value - low) / (high - low) if math.isfinite(value) else math.copysign(2, value)
    return min(_LINES - 1, max(0, round((1 - min(max(share, 0.0), 1.0)) * (_LINES - 1))))


def _label(low: float, high: float, line: int, unit: str) -> str:
    if line not in (0, _LINES // 2, _LINES - 1):
        return ""
    value = high - (high - low) * line / (_LINES - 1)
    digits = max(0, min(3, 2 - math.floor(math.log10(max(abs(low), abs(high), 1e-9)))))
    return f"{value:.{digits}f} {unit}"
