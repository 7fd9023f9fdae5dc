"""Checks that ended without a judgement, by arm and guard."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from profiler.analysis.guard_checks import STATUSES, without_verdict
from profiler.analysis.tax import ArmResult
from profiler.report.text import plain


def print_guard_checks(arms: Iterable[ArmResult], console: Console) -> None:
    """Print the guards of which some checks gave no judgement; nothing where all did."""
    table = Table(title="Guard checks that gave no judgement", title_justify="left", padding=(0, 1))
    table.add_column("arm", overflow="fold")
    table.add_column("guard", overflow="fold")
    for name in ("checks", *STATUSES):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in arms:
        for guard, counts in without_verdict(arm.guard_checks).items():
            row = (sum(counts.values()), *(counts[status] for status in STATUSES))
            table.add_row(plain(arm.name), plain(guard), *map(str, row))
    if table.row_count:
        console.print(table)
