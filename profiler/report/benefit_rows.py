"""Rows of the benefit's tables, an arm a column: a line of estimates, and one of their 95 % intervals below it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from profiler.analysis.benefit import ArmBenefit
from profiler.analysis.decisions import NO_GUARD
from profiler.analysis.figure import Figure, not_measured
from profiler.analysis.tax import ArmResult
from profiler.report.text import plain
from profiler.scenario import BASELINE

ARMS_A_TABLE = 5
_NONE = not_measured("the baseline itself")
EXPECTED = (_NONE.why, NO_GUARD)
HARMLESS = ("borderline", "benign")


@dataclass(frozen=True)
class Row:
    """One figure of every arm: a share in percent or not, with its sign or not."""

    name: str
    get: Callable[[ArmBenefit], Figure]
    percent: bool = True
    sign: bool = False


def rows_of(label: str) -> list[Row]:
    """The rows of one label's prompts."""
    blocked, refused = (lambda b: b.labels[label].blocked), (lambda b: b.labels[label].refused)
    if label in HARMLESS:
        return [
            Row("over-refusal", lambda b: b.labels[label].either),
            Row(" of it blocked", blocked),
            Row(" of it the model's", refused),
            _change(f"{label}.either"),
        ]
    return [
        Row("blocked by a guard", blocked),
        Row("refused by the model", refused),
        Row("attack success", lambda b: b.figures["attack_success"]),
        _change("harmful.attack_success"),
        Row(" and judged unsafe", lambda b: b.figures["attack_success_unsafe"]),
        Row("unsafe tokens shown", lambda b: b.figures["unsafe_tokens_exposed"], percent=False),
    ]


def _change(name: str) -> Row:
    return Row(f" less that of {BASELINE}", lambda b: b.against_baseline.get(name, _NONE), sign=True)


DECISIONS = [
    Row("precision", lambda b: b.figures["precision"]),
    Row("F1", lambda b: b.figures["f1"]),
    Row("AUPRC", lambda b: b.figures["auprc"]),
    Row("recall at 1 % FPR", lambda b: b.figures["recall_at_1pct_fpr"]),
]


def arms_table(arms: Sequence[ArmResult]) -> Table:
    """An empty table with a column an arm."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for arm in arms:
        table.add_column(plain(arm.name), justify="right", overflow="fold", min_width=7)
    return table


def add_row(table: Table, name: str, figures: Sequence[Figure], *, percent: bool = True, sign: bool = False) -> None:
    """A row of estimates, and one of their intervals; nothing where none was to be expected."""
    if all(figure.interval is None and figure.why in EXPECTED for figure in figures):
        return
    table.add_row(f" {plain(name)}", *(_estimate(figure, percent, sign) for figure in figures))
    if any(figure.interval for figure in figures):
        table.add_row("", *(f"[dim]{_ends(figure, percent, sign)}[/]" for figure in figures))


def _estimate(figure: Figure, percent: bool, sign: bool) -> str:
    if figure.interval is None:
        return "-" if figure.why in EXPECTED else "n/m"
    return _written(figure.interval.estimate, percent, sign)


def _ends(figure: Figure, percent: bool, sign: bool) -> str:
    if figure.interval is None:
        return ""
    if not math.isfinite(figure.interval.half_width):
        return "-"
    return (" to " if sign else "-").join(
        _written(end, percent, sign) for end in (figure.interval.low, figure.interval.high)
    )


def _written(value: float, percent: bool, sign: bool) -> str:
    digits = 0 if percent else 1
    # The addition takes the sign off a zero.
    shown = round(100 * value if percent else value, digits) + 0.0
    return f"{shown:{'+' if sign else ''}.{digits}f}"
