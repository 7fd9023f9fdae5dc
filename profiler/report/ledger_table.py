"""The ledger as a table: direct + induced + waste + saved + residual = measured, an arm a column."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.ledger_entries import Ledger, Waste
from profiler.analysis.tax import ArmResult
from profiler.report.numbers import signed, with_half_width
from profiler.report.text import plain

_METRICS = {"ttft_ms": "TTFT", "e2el_ms": "E2EL"}
_ENTRIES = ("induced", "waste", "saved", "residual")
_ARMS_A_TABLE = 4
# A stage that takes less than this is not worth a line.
_SHOWN_MS = 0.005


def print_ledger(arms: Iterable[ArmResult], console: Console) -> None:
    """Print the ledger of every arm that has one, a few arms a table, and what the marks mean."""
    with_one = [arm for arm in arms if arm.ledger]
    for start in range(0, len(with_one), _ARMS_A_TABLE):
        console.print(_table(with_one[start : start + _ARMS_A_TABLE]))
    if any(ledger.by_difference for arm in with_one for ledger in arm.ledger.values()):
        console.print(
            "~ by difference: the guard recorded no work of its own, so this is what is left.", highlight=False
        )


def _table(arms: Sequence[ArmResult]) -> Table:
    title = "Where the tax comes from: ms a request on average ±95 %"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for arm in arms:
        table.add_column(plain(arm.name), justify="right", overflow="fold", min_width=6)
    for metric, word in _METRICS.items():
        _add_metric(table, word, [arm.ledger.get(metric) for arm in arms])
    _add_contention(table, [arm.ledger.get("e2el_ms") for arm in arms])
    _add_waste(table, [arm.waste for arm in arms])
    return table


def _add_metric(table: Table, word: str, ledgers: Sequence[Ledger | None]) -> None:
    table.add_row(f"{word} direct", *(_cell(ledger, "direct") for ledger in ledgers))
    for stage in _stages(ledgers):
        cells = [_stage_cell(ledger, stage) for ledger in ledgers]
        table.add_row(f"[dim]  {plain(stage.replace('_', ' '))}[/]", *(f"[dim]{cell}[/]" for cell in cells))
    for entry in _ENTRIES:
        table.add_row(f"+ {entry}", *(_cell(ledger, entry) for ledger in ledgers))
    table.add_row("= measured", *(f"[bold]{_cell(ledger, 'measured')}[/]" for ledger in ledgers))
    table.add_section()


def _stages(ledgers: Sequence[Ledger | None]) -> list[str]:
    """The stages that take time in one of the arms."""
    known = [ledger.stages_ms for ledger in ledgers if ledger is not None]
    names = dict.fromkeys(name for stages in known for name in stages)
    return [name for name in names if any(abs(stages.get(name, 0.0)) >= _SHOWN_MS for stages in known)]


def _cell(ledger: Ledger | None, entry: str) -> str:
    if ledger is None:
        return "-"
    mark = "~" if entry == "induced" and ledger.by_difference else ""
    return mark + with_half_width(getattr(ledger, entry))


def _stage_cell(ledger: Ledger | None, stage: str) -> str:
    return "-" if ledger is None else signed(ledger.stages_ms.get(stage, 0.0))[0]


def _add_contention(table: Table, ledgers: Sequence[Ledger | None]) -> None:
    if any(ledger is not None and ledger.contention is not None for ledger in ledgers):
        table.add_row("contention, ms/ms", *(_contention(ledger) for ledger in ledgers))


def _contention(ledger: Ledger | None) -> str:
    return "-" if ledger is None or ledger.contention is None else with_half_width(ledger.contention)


def _add_waste(table: Table, wastes: Sequence[Waste | None]) -> None:
    if any(waste is not None and waste.tokens for waste in wastes):
        table.add_row("tokens for nobody", *(_wasted(waste) for waste in wastes))
        table.add_row("  engine seconds", *(_reading(None if w is None else w.engine_s) for w in wastes))
        if any(waste is not None and waste.energy_j is not None for waste in wastes):
            table.add_row("  joules", *(_reading(None if w is None else w.energy_j) for w in wastes))
    if any(waste is not None and waste.saved_tokens for waste in wastes):
        table.add_row("tokens spared", *("-" if waste is None else str(waste.saved_tokens) for waste in wastes))


def _reading(value: float | None) -> str:
    return "n/m" if value is None else f"{value:.1f}"


def _wasted(waste: Waste | None) -> str:
    if waste is None:
        return "-"
    return f"{waste.tokens} ({waste.tokens / max(waste.generated_tokens, 1):.0%})"
