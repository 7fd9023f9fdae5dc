"""Two runs side by side: what an arm did in each, and the difference; and as data."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.run_comparison import ArmChange, BenefitChange, Change, RunComparison
from profiler.analysis.words import WORDS
from profiler.report.attribution import interval_json
from profiler.report.benefit_json import figure_json
from profiler.report.numbers import with_range
from profiler.report.text import plain

_SHOWN = {word.key: word for word in WORDS.values() if word.kind == "cost"}
_NOTE = (
    "Difference: the second run less the first, 95 % interval over the blocks of each. Bold: it excludes zero and "
    "beats both runs' A/A floors. What changed between two runs beside the guards is in it: two runs of one "
    "scenario can differ by more than the blocks of either."
)


def print_run_comparison(found: RunComparison, console: Console) -> None:
    """Print a table an arm that both runs have, then what is in one only and what else differs."""
    names = [plain(run.run.path.name) for run in (found.first, found.second)]
    console.print(f"[bold]{names[1]} against {names[0]}[/]", soft_wrap=True)
    for arm in found.arms:
        console.print(_table(arm))
    for name, only in zip(names, (found.only_first, found.only_second), strict=True):
        if only:
            console.print(f"Only in {name}: {', '.join(map(plain, only))}", highlight=False)
    console.print(_NOTE, highlight=False)
    for warning in found.warnings:
        console.print(f"[yellow]warning:[/] {plain(warning)}", highlight=False)


def _table(arm: ArmChange) -> Table:
    title = plain(arm.second) + ("" if arm.first == arm.second else f", called {plain(arm.first)} in the first run")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for name in ("first", "second", "difference", "in %"):
        table.add_column(name, justify="right", no_wrap=name in ("first", "second"), overflow="fold")
    for key, word in _SHOWN.items():
        if key in arm.metrics:
            table.add_row(f"{word.name}, {word.unit}", *_cells(arm.metrics[key]))
    for name, change in arm.benefit.items():
        table.add_row(f"{name}, {WORDS[name].unit}", *_benefit_cells(change, WORDS[name].unit))
    return table


def _cells(change: Change) -> tuple[str, str, str, str]:
    absolute = plain(with_range(change.absolute.estimate, (change.absolute.low, change.absolute.high)))
    relative = "-"
    if change.relative is not None:
        ends = (100 * change.relative.low, 100 * change.relative.high)
        relative = plain(with_range(100 * change.relative.estimate, ends, most_digits=1))
    if change.beyond_floor:
        absolute, relative = f"[bold]{absolute}[/]", f"[bold]{relative}[/]"
    return _figure(change.before.estimate), _figure(change.after.estimate), absolute, relative


def _benefit_cells(change: BenefitChange, unit: str) -> tuple[str, str, str, str]:
    scale = 100.0 if unit == "%" else 1.0
    before, after = (
        "n/m" if one.interval is None else _figure(scale * one.interval.estimate)
        for one in (change.before, change.after)
    )
    found = change.change.interval
    if found is None:
        return before, after, "n/m", "-"
    ends = (scale * found.low, scale * found.high)
    text = plain(with_range(scale * found.estimate, ends, most_digits=1))
    return before, after, f"[bold]{text}[/]" if found.excludes_zero else text, "-"


def _figure(value: float) -> str:
    size = abs(value)
    return f"{value:.{0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def run_comparison_json(found: RunComparison) -> dict[str, Any]:
    """One comparison as data; figures in the analysis's units, shares and ratios as such."""
    return {
        "first": _run(found.first.run.manifest["id"], found.first.run.path, found.first.valid),
        "second": _run(found.second.run.manifest["id"], found.second.run.path, found.second.valid),
        "arms": [_arm(arm) for arm in found.arms],
        "only_first": list(found.only_first),
        "only_second": list(found.only_second),
        "warnings": list(found.warnings),
    }


def _run(name: str, path: object, valid: bool) -> dict[str, Any]:
    return {"id": name, "path": str(path), "valid": valid}


def _arm(arm: ArmChange) -> dict[str, Any]:
    metrics: Mapping[str, Change] = arm.metrics
    return {
        "first": arm.first,
        "second": arm.second,
        "metrics": {
            name: {
                "first": interval_json(change.before),
                "second": interval_json(change.after),
                "absolute": interval_json(change.absolute),
                "relative": interval_json(change.relative),
                "beyond_floor": change.beyond_floor,
            }
            for name, change in metrics.items()
        },
        "benefit": {
            name: {
                "first": figure_json(change.before),
                "second": figure_json(change.after),
                "difference": figure_json(change.change),
            }
            for name, change in arm.benefit.items()
        },
    }
