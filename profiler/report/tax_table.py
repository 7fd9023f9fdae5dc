"""The taxes as a table: each arm against the baseline, and the baseline against itself."""

from collections.abc import Mapping

from rich import box
from rich.markup import escape
from rich.table import Table

from profiler.analysis.comparison import Tax
from profiler.analysis.tax import RunResult
from profiler.report.numbers import percent_with_range, with_range
from profiler.report.text import plain
from profiler.scenario import BASELINE

SHOWN = {
    "ttft_ms.mean": "TTFT mean, ms",
    "ttft_ms.p50": "TTFT p50, ms",
    "ttft_ms.p99": "TTFT p99, ms",
    "tpot_ms.mean": "TPOT mean, ms",
    "e2el_ms.mean": "E2EL mean, ms",
    "e2el_ms.p50": "E2EL p50, ms",
    "e2el_ms.p99": "E2EL p99, ms",
    "output_tokens_per_s.mean": "output tok/s",
    "preemptions": "preemptions",
    "peak_memory_mib": "memory, MiB",
    "pss_steady_mib": "PSS, MiB",
    "device_memory_mib": "GPU mem, MiB",
    "cpu_s": "CPU s/trial",
    "cpu_s.driver": " driver",
    "cpu_s.engine_core": " engine core",
    "cpu_s.engine_workers": " eng. worker",
    "cpu_s.guard_workers": " guard work.",
    "cpu_s.guard_engines": " guard eng.",
    "cpu_s.other": " other",
    "energy_j_per_token": "GPU J/token",
    "cpu_energy_j_per_token": "CPU J/token",
}
"""The metrics of the table and their words, as they stand in it."""
_DETECTABLE = {"ttft_ms.p50": "TTFT p50", "e2el_ms.p50": "E2EL p50", "output_tokens_per_s.mean": "tok/s"}


def tax_table(result: RunResult) -> Table:
    """One row a metric under each arm's name; bold where something is claimed."""
    title = "Tax against the baseline [95 % interval]"
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    table.add_column("tax", justify="right", no_wrap=True)
    table.add_column("in %", justify="right", no_wrap=True)
    table.add_column("verdict")
    for arm in result.arms.values():
        if arm.name != BASELINE and arm.tax:
            _add_arm(table, plain(arm.name), arm.tax)
    if result.noise_floor:
        _add_arm(table, f"{BASELINE}, again", result.noise_floor)
    return table


def _add_arm(table: Table, name: str, taxes: Mapping[str, Tax]) -> None:
    table.add_row(f"[bold]{name}[/]")
    for key, label in SHOWN.items():
        if key in taxes:
            table.add_row(f" {label}", *_cells(taxes[key]))
    table.add_section()


def _cells(tax: Tax) -> tuple[str, str, str]:
    absolute = escape(with_range(tax.absolute, tax.ci95))
    relative = "-"
    if tax.relative is not None and tax.relative_ci95 is not None:
        relative = escape(percent_with_range(tax.relative, tax.relative_ci95))
    if tax.claimed:
        return f"[bold]{absolute}[/]", f"[bold]{relative}[/]", f"[bold]{tax.verdict}[/]"
    return absolute, relative, tax.verdict


def detectable(result: RunResult) -> str | None:
    """What the run could have found, a phrase an arm; None without taxes."""
    phrases = []
    for arm in result.arms.values():
        known = [
            f"{word} {100 * tax.mde_relative:.1f} %"
            for key, word in _DETECTABLE.items()
            if (tax := arm.tax.get(key)) is not None and tax.mde_relative is not None
        ]
        if known:
            phrases.append(f"{arm.name} {', '.join(known)}")
    return "; ".join(phrases) or None
