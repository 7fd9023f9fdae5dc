"""The result as tables in a terminal; 80 columns are enough."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from profiler.analysis.comparison import Tax
from profiler.analysis.stats import P99_MIN_REQUESTS
from profiler.analysis.summary import Summary
from profiler.analysis.tax import ArmResult, RunResult
from profiler.scenario import BASELINE

_TAXED = {
    "output_tokens_per_s.mean": "output tok/s",
    "ttft_ms.mean": "TTFT mean, ms",
    "ttft_ms.p50": "TTFT p50, ms",
    "tpot_ms.mean": "TPOT mean, ms",
    "tpot_ms.p50": "TPOT p50, ms",
    "e2el_ms.mean": "E2EL mean, ms",
    "e2el_ms.p50": "E2EL p50, ms",
    "peak_memory_mib": "peak memory, MiB",
    "cpu_s": "CPU s per trial",
}


def print_result(result: RunResult, console: Console) -> None:
    """Print figures, taxes, notes and, last, where the run lies."""
    facts = result.run.manifest["facts"]
    console.print(
        f"[bold]Latency tax[/] of {escape(str(facts['model']))} on {escape(str(facts['device_name']))}, "
        f"vLLM {escape(str(facts['vllm_version']))}, blocks: {result.blocks}"
    )
    console.print(_figures(result.arms.values()))
    console.print(_outcomes(result.arms.values()))
    console.print(_taxes(result))
    for note in _notes(result):
        console.print(note, highlight=False)
    console.print(f"Run: {escape(str(result.run.path))}", highlight=False, soft_wrap=True)
    console.print(f"See it again: alignment-tax report {escape(str(result.run.path))}", highlight=False, soft_wrap=True)


def _figures(arms: Iterable[ArmResult]) -> Table:
    table = Table(title="What each arm did", title_justify="left", padding=(0, 1))
    table.add_column("", no_wrap=True)
    rows: list[tuple[str, list[str]]] = [
        ("output tok/s", []),
        ("TTFT p50, ms", []),
        ("TTFT p99, ms", []),
        ("TPOT p50, ms", []),
        ("TPOT p99, ms", []),
        ("E2EL p50, ms", []),
        ("E2EL p99, ms", []),
        ("memory, MiB", []),
        ("CPU s/request", []),
        ("J/token", []),
    ]
    for arm in arms:
        table.add_column(escape(arm.name), justify="right")
        values = [f"{arm.output_tokens_per_s:.1f}"]
        for metric in ("ttft_ms", "tpot_ms", "e2el_ms"):
            summary = arm.latency[metric]
            values += [_p50(summary), _p99(summary)]
        values += [_number(arm.peak_memory_mib, 0), _number(arm.cpu_s_per_request, 2)]
        values += [_number(arm.energy_j_per_token, 3)]
        for (_, cells), value in zip(rows, values, strict=True):
            cells.append(value)
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _outcomes(arms: Iterable[ArmResult]) -> Table:
    table = Table(title="What became of the requests", title_justify="left", padding=(0, 1))
    table.add_column("arm")
    for name in ("requests", "passed", "blocked", "redacted", "reranked", "error"):
        table.add_column(name, justify="right")
    for arm in arms:
        counts = [str(arm.outcomes[name]) for name in ("passed", "blocked", "redacted", "reranked", "error")]
        table.add_row(escape(arm.name), str(arm.requests), *counts)
    return table


def _taxes(result: RunResult) -> Table:
    title = "Tax against the baseline: difference, in % and [95 % interval]"
    table = Table(title=title, title_justify="left", padding=(0, 1))
    table.add_column("arm")
    table.add_column("metric")
    table.add_column("tax", justify="right")
    table.add_column("%", justify="right")
    table.add_column("95 % interval", justify="right")
    groups = [(arm.name, arm.tax) for arm in result.arms.values() if arm.name != BASELINE]
    for name, taxes in [*groups, ("none, again", result.noise_floor)]:
        for key, label in _TAXED.items():
            if key in taxes:
                table.add_row(escape(name), label, *_tax_cells(taxes[key]))
                name = ""
        table.add_section()
    return table


def _tax_cells(tax: Tax) -> tuple[str, str, str]:
    low, high = tax.ci95
    absolute = f"{tax.absolute:+.1f}"
    if low > 0 or high < 0:
        absolute = f"[bold]{absolute}[/]"
    return absolute, "-" if tax.relative is None else f"{100 * tax.relative:+.1f}", f"{low:+.1f} to {high:+.1f}"


def _notes(result: RunResult) -> list[str]:
    notes = ["Bold: the interval excludes 0. 'none, again' is one baseline against the other: the noise floor."]
    if any(s and not s.p99_bounded for arm in result.arms.values() for s in arm.latency.values()):
        notes.append(
            f"* p99 of the sample: with fewer than {P99_MIN_REQUESTS} requests it has no upper bound at 95 %; "
            "no tax is claimed on it."
        )
    if any(arm.latency["tpot_ms"] is None for arm in result.arms.values()):
        notes.append("TPOT -: every answer came in one piece, so there is no time per token.")
    not_measured = result.run.manifest["not_measured"]
    notes += [f"{escape(name)} (n/m): not measured: {escape(str(why))}" for name, why in not_measured.items()]
    notes += [f"[yellow]warning:[/] {escape(warning)}" for warning in result.warnings]
    return notes


def _p50(summary: Summary | None) -> str:
    return "-" if summary is None else f"{summary.p50:.0f}"


def _p99(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    return f"{summary.p99:.0f}" + ("" if summary.p99_bounded else "*")


def _number(value: float | None, digits: int) -> str:
    return "n/m" if value is None else f"{value:.{digits}f}"
