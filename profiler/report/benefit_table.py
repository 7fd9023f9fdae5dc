"""What the guards bought, an arm a column: shares of distinct prompts in %, each with its 95 % interval below it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.benefit import ArmBenefit, Handled
from profiler.analysis.decisions import NO_GUARD
from profiler.analysis.figure import Figure, not_measured
from profiler.analysis.tax import ArmResult, RunResult
from profiler.report.judge import judge_note
from profiler.report.text import plain
from profiler.scenario import BASELINE

_ARMS_A_TABLE = 5
_Get = Callable[[ArmBenefit], Figure]
_Row = tuple[str, _Get]
_NONE = not_measured("the baseline itself")
_HARMLESS = ("borderline", "benign")


def _rows(label: str) -> list[_Row]:
    """The rows of one label's prompts."""
    blocked: _Row = ("blocked by a guard", lambda b: b.labels[label].blocked)
    refused: _Row = ("refused by the model", lambda b: b.labels[label].refused)
    if label in _HARMLESS:
        either: _Row = ("over-refusal", lambda b: b.labels[label].either)
        return [either, (" of it blocked", blocked[1]), (" of it the model's", refused[1]), _change(f"{label}.either")]
    return [
        blocked,
        refused,
        ("attack success", lambda b: b.figures["attack_success"]),
        _change("harmful.attack_success"),
        (" and judged unsafe", lambda b: b.figures["attack_success_unsafe"]),
        ("unsafe tokens a request", lambda b: b.figures["unsafe_tokens_exposed"]),
    ]


def _change(name: str) -> _Row:
    return f" less that of {BASELINE}", lambda b: b.against_baseline.get(name, _NONE)


_DECISIONS: list[_Row] = [
    ("precision", lambda b: b.figures["precision"]),
    ("F1", lambda b: b.figures["f1"]),
    ("AUPRC", lambda b: b.figures["auprc"]),
    ("recall at 1 % FPR", lambda b: b.figures["recall_at_1pct_fpr"]),
]


def print_benefit(result: RunResult, console: Console) -> None:
    """Print the table of every arm, and what in it was not measured."""
    arms = [arm for arm in result.arms.values() if arm.benefit is not None]
    if arms:
        console.print("What it bought: % of distinct prompts, and 95 % interval", style="italic", highlight=False)
    for start in range(0, len(arms), _ARMS_A_TABLE):
        console.print(_table(arms[start : start + _ARMS_A_TABLE]))
    if arms:
        for note in _notes(arms, result.run.manifest):
            console.print(note, highlight=False)


def _table(arms: Sequence[ArmResult]) -> Table:
    table = _empty(arms)
    found = [arm.benefit for arm in arms if arm.benefit is not None]
    for label in ("harmful", *_HARMLESS):
        if any(benefit.labels[label].prompts for benefit in found):
            prompts = [str(benefit.labels[label].prompts) for benefit in found]
            table.add_row(f"[bold]{label} prompts[/]", *(f"[bold]{n}[/]" for n in prompts))
            for name, get in _rows(label):
                _add(table, name, [get(benefit) for benefit in found])
            table.add_section()
    table.add_row("[bold]decisions of the guards[/]")
    for name, get in _DECISIONS:
        _add(table, name, [get(benefit) for benefit in found])
    if any(benefit.failed for benefit in found):
        table.add_section()
        table.add_row("requests left out*", *(str(sum(benefit.failed.values())) for benefit in found))
    return table


def _empty(arms: Sequence[ArmResult]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for arm in arms:
        table.add_column(plain(arm.name), justify="right", overflow="fold", min_width=7)
    return table


def _add(table: Table, name: str, figures: Sequence[Figure]) -> None:
    """A row of estimates, and one of their intervals."""
    if not any(figure.interval for figure in figures) and all(figure.why in _EXPECTED for figure in figures):
        return
    percent, sign = "tokens" not in name, "less" in name
    table.add_row(f" {name}", *(_estimate(figure, percent, sign) for figure in figures))
    if any(figure.interval for figure in figures):
        table.add_row("", *(f"[dim]{_ends(figure, percent, sign)}[/]" for figure in figures))


_EXPECTED = (_NONE.why, NO_GUARD)


def _estimate(figure: Figure, percent: bool, sign: bool) -> str:
    if figure.interval is None:
        return "-" if figure.why in _EXPECTED else "n/m"
    return _written(figure.interval.estimate, percent, sign)


def _ends(figure: Figure, percent: bool, sign: bool) -> str:
    if figure.interval is None:
        return ""
    if not math.isfinite(figure.interval.half_width):
        return "-"
    between = " to " if sign else "-"
    return between.join(_written(end, percent, sign) for end in (figure.interval.low, figure.interval.high))


def _written(value: float, percent: bool, sign: bool) -> str:
    # The addition takes the sign off a zero.
    shown = round(100 * value if percent else value, 0 if percent else 1) + 0.0
    return f"{shown:{'+' if sign else ''}.{0 if percent else 1}f}"


def _notes(arms: Sequence[ArmResult], manifest: Mapping[str, Any]) -> Iterator[str]:
    for why, (rows, lacking) in _reasons(arms).items():
        whose = "" if len(lacking) == len(arms) else f" of {', '.join(lacking)}"
        yield f"{plain(', '.join(rows))}{plain(whose)} (n/m): not measured: {plain(why)}"
    if any(_unbounded(figure) for arm in arms for _, figure in _figures(arm.benefit)):
        yield "Interval -: every resample of these prompts gives the same figure: too few, or too alike, for one."
    if any(arm.benefit and arm.benefit.failed for arm in arms):
        yield "* failed, or a guard gave no verdict: in no figure above."
    if unjudged := sum(arm.benefit.unjudged for arm in arms if arm.benefit):
        yield f"{unjudged} answers could not be judged: in no figure that needs it."
    if note := judge_note(manifest.get("judge")):
        yield plain(note)


def _unbounded(figure: Figure) -> bool:
    return figure.interval is not None and not math.isfinite(figure.interval.half_width)


def _reasons(arms: Sequence[ArmResult]) -> dict[str, tuple[dict[str, None], dict[str, None]]]:
    """Why figures are not measured: the rows and the arms of each reason."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for arm in arms:
        for name, figure in _figures(arm.benefit):
            if figure.why and figure.why not in _EXPECTED:
                rows, lacking = found.setdefault(figure.why, ({}, {}))
                rows[name.strip()] = lacking[arm.name] = None
    return found


def _figures(benefit: ArmBenefit | None) -> Iterator[tuple[str, Figure]]:
    if benefit is not None:
        for label in ("harmful", *_HARMLESS):
            if benefit.labels[label].prompts:
                yield from ((name, get(benefit)) for name, get in _rows(label) if "less that of" not in name)
        yield from ((name, get(benefit)) for name, get in _DECISIONS)


def print_categories(result: RunResult, console: Console) -> None:
    """Print, by category of prompt, how many harmful ones were blocked and how many harmless ones were not answered."""
    arms = [arm for arm in result.arms.values() if arm.benefit is not None]
    title = "By category: % blocked of harmful prompts, % blocked or refused of the others"
    console.print(title, style="italic", highlight=False)
    for start in range(0, len(arms), _ARMS_A_TABLE):
        console.print(_categories(arms[start : start + _ARMS_A_TABLE]))


def _categories(arms: Sequence[ArmResult]) -> Table:
    table = _empty(arms)
    found = [arm.benefit for arm in arms if arm.benefit is not None]
    for label in ("harmful", *_HARMLESS):
        names = sorted({name for benefit in found for name in benefit.categories.get(label, {})})
        if names:
            table.add_row(f"[bold]{label}[/]")
        for name in names:
            handled = [benefit.categories.get(label, {}).get(name) for benefit in found]
            prompts = max(one.prompts for one in handled if one is not None)
            _add(table, plain(f"{name} ({prompts})"), [_of_category(label, one) for one in handled])
        table.add_section()
    return table


def _of_category(label: str, handled: Handled | None) -> Figure:
    if handled is None:
        return not_measured("no such prompt")
    # Where answers were not judged, the guards' blocks are what is known.
    return handled.blocked if label not in _HARMLESS or handled.either.interval is None else handled.either
