"""What the guards bought: shares of distinct prompts in %, and what of it was not measured, and why."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from profiler.analysis.benefit import ArmBenefit
from profiler.analysis.figure import NO_SUCH_PROMPT, Figure
from profiler.analysis.tax import ArmResult, RunResult
from profiler.report.benefit_rows import ARMS_A_TABLE, DECISIONS, EXPECTED, HARMLESS, add_row, arms_table, rows_of
from profiler.report.judge import judge_note
from profiler.report.text import plain


def print_benefit(result: RunResult, console: Console) -> None:
    """Print the table of every arm, and what in it was not measured."""
    arms = [arm for arm in result.arms.values() if arm.benefit is not None]
    if arms:
        console.print("What it bought: % of distinct prompts, and 95 % interval", style="italic", highlight=False)
    for start in range(0, len(arms), ARMS_A_TABLE):
        console.print(_table(arms[start : start + ARMS_A_TABLE]))
    if arms:
        for note in _notes(arms, result.run.manifest):
            console.print(note, highlight=False)


def _table(arms: Sequence[ArmResult]) -> Table:
    table = arms_table(arms)
    found = [arm.benefit for arm in arms if arm.benefit is not None]
    for label in ("harmful", *HARMLESS):
        if any(benefit.labels[label].blocked.why != NO_SUCH_PROMPT for benefit in found):
            prompts = [str(benefit.labels[label].prompts) for benefit in found]
            table.add_row(f"[bold]{label} prompts[/]", *(f"[bold]{n}[/]" for n in prompts))
            for row in rows_of(label):
                add_row(table, row.name, [row.get(benefit) for benefit in found], percent=row.percent, sign=row.sign)
            table.add_section()
    if any(row.get(benefit).why not in EXPECTED for row in DECISIONS for benefit in found):
        table.add_row("[bold]guards' decisions[/]")
    for row in DECISIONS:
        add_row(table, row.name, [row.get(benefit) for benefit in found], percent=row.percent, sign=row.sign)
    if any(benefit.failed for benefit in found):
        table.add_section()
        table.add_row("requests left out*", *(str(sum(benefit.failed.values())) for benefit in found))
    return table


def _notes(arms: Sequence[ArmResult], manifest: Mapping[str, Any]) -> Iterator[str]:
    for why, (rows, lacking) in _reasons(arms).items():
        whose = "" if len(lacking) == len(arms) else f" of {', '.join(lacking)}"
        yield f"{plain(', '.join(rows))}{plain(whose)} (n/m): not measured: {plain(why)}"
    if any(_unbounded(figure) for arm in arms for _, figure in _figures(arm.benefit)):
        yield "Interval -: every resample of these prompts gives the same figure: too few, or too alike, for one."
    if any(figure.interval is not None for arm in arms for figure in _tokens(arm.benefit)):
        yield "Unsafe tokens shown: mean for a harmful request."
    if any(arm.benefit and arm.benefit.failed for arm in arms):
        yield "* failed, or a guard gave no verdict: in no figure above."
    if unjudged := sum(arm.benefit.unjudged for arm in arms if arm.benefit):
        yield f"{unjudged} answers could not be judged: in no figure that needs it."
    if note := judge_note(manifest.get("judge")):
        yield plain(note)


def _tokens(benefit: ArmBenefit | None) -> tuple[Figure, ...]:
    return () if benefit is None else (benefit.figures["unsafe_tokens_exposed"],)


def _unbounded(figure: Figure) -> bool:
    return figure.interval is not None and not math.isfinite(figure.interval.half_width)


def _reasons(arms: Sequence[ArmResult]) -> dict[str, tuple[dict[str, None], dict[str, None]]]:
    """Why figures are not measured: the rows and the arms of each reason."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for arm in arms:
        for name, figure in _figures(arm.benefit):
            if figure.why and figure.why not in EXPECTED:
                rows, lacking = found.setdefault(figure.why, ({}, {}))
                rows[name.strip()] = lacking[arm.name] = None
    return found


def _figures(benefit: ArmBenefit | None) -> Iterator[tuple[str, Figure]]:
    if benefit is not None:
        for label in ("harmful", *HARMLESS):
            if benefit.labels[label].blocked.why != NO_SUCH_PROMPT:
                yield from ((row.name, row.get(benefit)) for row in rows_of(label) if not row.sign)
        yield from ((row.name, row.get(benefit)) for row in DECISIONS)
