"""The result as tables in a terminal; 80 columns are enough."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from profiler.analysis.stats import P99_MIN_REQUESTS
from profiler.analysis.summary import Summary
from profiler.analysis.tax import ArmResult, RunResult
from profiler.analysis.validity import Finding
from profiler.report.benefit_table import print_benefit
from profiler.report.displacement import print_displacement
from profiler.report.guard_checks import print_guard_checks
from profiler.report.ledger_table import print_ledger
from profiler.report.numbers import number
from profiler.report.recorded import recorded_note
from profiler.report.resources import absence_word, meter_notes, resources_tables
from profiler.report.tax_table import detectable, tax_table
from profiler.report.text import plain
from profiler.scenario import BASELINE

LATENCIES = {"ttft_ms": "TTFT", "tpot_ms": "TPOT", "e2el_ms": "E2EL"}
"""What a reader calls them."""


def print_result(result: RunResult, console: Console) -> None:
    """Print figures, taxes, ledger and notes; `print_place` comes last, after whatever else is shown."""
    if note := recorded_note(result.run.manifest):
        console.print(f"[bold yellow]{note}[/]", highlight=False)
    facts = result.run.manifest["facts"]
    console.print(
        f"[bold]Latency tax[/] of {plain(facts['model'])} on {plain(facts['device_name'])}, "
        f"vLLM {plain(facts['vllm_version'])}, blocks: {result.blocks}"
    )
    if not result.valid:
        console.print("[bold red]INVALID[/]: this run broke a rule of a valid measurement, see its end")
    console.print(_figures(list(result.arms.values())))
    console.print(_outcomes(result.arms.values()))
    print_guard_checks(result.arms.values(), console)
    for table in resources_tables(result):
        console.print(table)
    print_displacement(result, console)
    if any(arm.tax for arm in result.arms.values()):
        console.print(tax_table(result))
    print_benefit(result, console)
    print_ledger(result.arms.values(), console)
    for note in _notes(result):
        console.print(note, highlight=False)


def print_problems(result: RunResult, console: Console) -> None:
    """Print what limits or voids the run, and where it lies."""
    for note in _problems(result):
        console.print(note, highlight=False)
    print_place(result, console)


def print_place(result: RunResult, console: Console) -> None:
    """Print where the run lies and how to see it again."""
    console.print(f"Run: {plain(result.run.path)}", highlight=False, soft_wrap=True)
    console.print(f"See it again: alignment-tax report {plain(result.run.path)}", highlight=False, soft_wrap=True)


def _figures(arms: list[ArmResult]) -> Table:
    table = Table(title="What each arm did", title_justify="left", padding=(0, 1))
    table.add_column("", no_wrap=True)
    for arm in arms:
        table.add_column(plain(arm.name), justify="right", overflow="fold")
    table.add_row("output tok/s", *(f"{arm.output_tokens_per_s:.1f}" for arm in arms))
    for metric, word in LATENCIES.items():
        summaries = [arm.latency[metric] for arm in arms]
        table.add_row(f"{word} p50, ms", *(_p50(summary) for summary in summaries))
        if metric != "tpot_ms":
            table.add_row(f"{word} p90, ms", *(_p90(summary) for summary in summaries))
        table.add_row(f"{word} p99, ms", *(_p99(summary) for summary in summaries))
        if any(summary is not None and summary.p99_bounded for summary in summaries):
            table.add_row("[dim]  95 % interval[/]", *(f"[dim]{_p99_range(summary)}[/]" for summary in summaries))
    table.add_row("memory, MiB", *(number(arm.peak_memory_mib, 0) for arm in arms))
    table.add_row("CPU s/request", *(number(arm.cpu_s_per_request, 2) for arm in arms))
    if any(arm.energy_j_per_token is not None and arm.resources is None for arm in arms):
        table.add_row("J/token", *(number(arm.energy_j_per_token, 3) for arm in arms))
    return table


def _outcomes(arms: Iterable[ArmResult]) -> Table:
    table = Table(title="What became of the requests", title_justify="left", padding=(0, 1))
    table.add_column("arm", overflow="fold")
    for name in ("requests", "passed", "blocked", "redacted", "reranked", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in arms:
        counts = [str(arm.outcomes[name]) for name in ("passed", "blocked", "redacted", "reranked", "error")]
        table.add_row(plain(arm.name), str(arm.requests), *counts)
    return table


def _notes(result: RunResult) -> list[str]:
    notes = [
        f"Bold: a tax or saving that holds for all arms together (Holm, 5 %) and beats the noise floor: "
        f"'{BASELINE}, again', one baseline against the other."
    ]
    if (found := detectable(result)) is not None:
        notes.append(f"Smallest difference that this run finds with 80 % power: {plain(found)}.")
    if any(s and not s.p99_bounded for arm in result.arms.values() for s in arm.latency.values()):
        notes.append(
            f"* p99 of the sample: with fewer than {P99_MIN_REQUESTS} requests it has no upper bound at 95 %; "
            "no tax is claimed on it."
        )
    if any(arm.latency["tpot_ms"] is None for arm in result.arms.values()):
        notes.append("TPOT -: every answer came in one piece, so there is no time per token.")
    if places := result.run.manifest.get("placements"):
        notes.append(f"Guards run on: {plain('; '.join(f'{guard}: {where}' for guard, where in places.items()))}.")
    if note := isolation_note(result.run.manifest):
        notes.append(note)
    notes += [plain(note) for note in meter_notes(result.run.manifest)]
    not_measured = result.run.manifest["not_measured"]
    notes += [f"{plain(absence_word(name))} (n/m): not measured: {plain(why)}" for name, why in not_measured.items()]
    return [*notes, *_problems(result)]


def isolation_note(manifest: Mapping[str, Any]) -> str:
    """What is to be known of a dedicated run; empty of a shared one."""
    if manifest.get("scenario", {}).get("isolation") != "dedicated":
        return ""
    return (
        "isolation: dedicated: an engine an arm, one after the other, the baseline first and last: drift between "
        f"them is in the taxes; '{BASELINE}, again' shows it."
    )


def _problems(result: RunResult) -> list[str]:
    notes = [f"Warm-up: {plain(result.warm_up.why)}."] if result.warm_up.blocks else []
    notes += [f"[yellow]warning:[/] {plain(warning)}" for warning in result.warnings]
    return [*notes, *(_finding(finding) for finding in result.findings)]


def _finding(finding: Finding) -> str:
    said = plain(f"{finding.arm}: {finding.text.removeprefix('INVALID: ')}")
    return f"[bold red]INVALID:[/] {said}" if finding.invalid else f"[yellow]warning:[/] {said}"


def _p50(summary: Summary | None) -> str:
    return "-" if summary is None else f"{summary.p50:.0f}"


def _p90(summary: Summary | None) -> str:
    return "-" if summary is None else f"{summary.p90:.0f}"


def _p99(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    return f"{summary.p99:.0f}" + ("" if summary.p99_bounded else "*")


def _p99_range(summary: Summary | None) -> str:
    if summary is None or not summary.p99_bounded:
        return "-"
    ends = (summary.p99_ci95.low, summary.p99_ci95.high)
    return "-".join(f"{end:.0f}" if math.isfinite(end) else "?" for end in ends)
