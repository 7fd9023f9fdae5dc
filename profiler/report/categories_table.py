"""The benefit by category of prompt: blocks of harmful ones, blocks and refusals of harmless ones."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from profiler.analysis.benefit import Handled
from profiler.analysis.figure import NO_SUCH_PROMPT, Figure, not_measured
from profiler.analysis.tax import ArmResult, RunResult
from profiler.report.benefit_rows import ARMS_A_TABLE, HARMLESS, add_row, arms_table


def print_categories(result: RunResult, console: Console) -> None:
    """Print, by category of prompt, how many harmful ones were blocked and how many harmless ones were not answered."""
    arms = [arm for arm in result.arms.values() if arm.benefit is not None]
    title = "By category: % blocked of harmful prompts, % blocked or refused of the others"
    console.print(title, style="italic", highlight=False)
    for start in range(0, len(arms), ARMS_A_TABLE):
        console.print(_categories(arms[start : start + ARMS_A_TABLE]))


def _categories(arms: Sequence[ArmResult]) -> Table:
    table = arms_table(arms)
    found = [arm.benefit for arm in arms if arm.benefit is not None]
    for label in ("harmful", *HARMLESS):
        names = sorted({name for benefit in found for name in benefit.categories.get(label, {})})
        if names:
            table.add_row(f"[bold]{label}[/]")
        for name in names:
            handled = [benefit.categories.get(label, {}).get(name) for benefit in found]
            prompts = max(one.prompts for one in handled if one is not None)
            figures = [_of_category(label, one) for one in handled]
            add_row(table, f"{name} ({prompts})", figures)
        table.add_section()
    return table


def _of_category(label: str, handled: Handled | None) -> Figure:
    if handled is None:
        return not_measured(NO_SUCH_PROMPT)
    # Where answers were not judged, the guards' blocks are what is known.
    return handled.blocked if label not in HARMLESS or handled.either.interval is None else handled.either
