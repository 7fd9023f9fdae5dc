"""A sweep in a terminal and as JSON, and its progress."""

import math
from collections.abc import Callable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.capacity import Capacity
from profiler.analysis.goodput import stated
from profiler.analysis.stats import Interval
from profiler.report.live.event_console import EventConsole
from profiler.report.recorded import recorded_note
from profiler.report.text import plain
from profiler.saturation.probe import Goal, Probe
from profiler.saturation.result import ArmCapacity, SaturationResult, goal_record


def print_saturation(result: SaturationResult, console: Console) -> None:
    """Print each arm's capacity and its tax, what was not measured and why, and where the run lies."""
    if note := recorded_note(result.run.manifest):
        console.print(f"[bold yellow]{note}[/]", highlight=False)
    facts = result.run.manifest["facts"]
    console.print(
        f"[bold]Capacity tax[/] of {plain(facts['model'])} on {plain(facts['device_name'])}, "
        f"vLLM {plain(facts['vllm_version'])}",
        highlight=False,
    )
    console.print(f"Highest rate at which {goal_words(result.goal)}", highlight=False)
    console.print(_table(result))
    for note in _notes(result):
        console.print(note, highlight=False)
    console.print(f"Run: {plain(result.run.path)}", highlight=False, soft_wrap=True)
    console.print(f"See it again: alignment-tax report {plain(result.run.path)}", highlight=False, soft_wrap=True)


def probe_line(probe: Probe, goal: Goal) -> str:
    """A finished probe on one line."""
    where = f"round {probe.round} {probe.arm}"
    if probe.rate_hz is None:
        return f"{where}: closed loop, {probe.throughput_hz:.3g} requests/s"
    at = f"{where} at {probe.rate_hz:.3g} requests/s"
    if probe.stopped or probe.invalid:
        return f"{at}: {probe.stopped or probe.invalid}"
    return f"{at}: {probe.good.mean():.0%} of {len(probe.good)} good (at least {100 * goal.good_fraction:.4g}% wanted)"


def teller(console: Console, goal: Goal) -> Callable[[Probe], None]:
    """What prints each probe as it ends, or tells a program of it."""
    if isinstance(console, EventConsole):
        events = console
        return lambda probe: events.emit("probe_finished", **_probe_event(probe))
    return lambda probe: console.print(probe_line(probe, goal), highlight=False, markup=False, soft_wrap=True)


def _probe_event(probe: Probe) -> dict[str, Any]:
    return {
        "round": probe.round,
        "arm": probe.arm,
        "rate_hz": probe.rate_hz,
        "throughput_hz": probe.throughput_hz,
        "requests": len(probe.good),
        "good_share": float(probe.good.mean()) if len(probe.good) else None,
        "stopped": probe.stopped,
        "invalid": probe.invalid,
    }


def saturation_json(result: SaturationResult) -> dict[str, Any]:
    """The document of `--format json`: schema 1. What was not measured is null, with the reason."""
    manifest = result.run.manifest
    note = recorded_note(manifest)
    return {
        **({"note": note} if note else {}),
        "schema": 1,
        "kind": manifest["kind"],
        "run": {"id": manifest["id"], **manifest["facts"], "path": str(result.run.path)},
        "slo": stated(result.goal.slo),
        **goal_record(result.goal),
        "arms": {name: _arm_json(arm) for name, arm in result.arms.items()},
        "warnings": list(result.warnings),
    }


def goal_words(goal: Goal) -> str:
    """What a rate must keep to count."""
    limits = ", ".join(f"{name.removesuffix('_ms').upper()} {limit:g} ms" for name, limit in stated(goal.slo).items())
    return f"at least {100 * goal.good_fraction:.4g}% of requests are good ({limits}):"


def _table(result: SaturationResult) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("arm", overflow="fold")
    for name in ("requests/s", "surely between", "capacity tax", "95 % interval", "probes"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, arm in result.arms.items():
        table.add_row(plain(name), *capacity_cells(arm.capacity), *tax_cells(arm.tax), str(len(arm.probes)))
    return table


def capacity_cells(capacity: Capacity) -> tuple[str, str]:
    """The rate, and between which rates it surely lies."""
    if capacity.estimate_hz is None:
        return "n/m", "-"
    high = f"{capacity.high_hz:.3g}" if math.isfinite(capacity.high_hz) else "?"
    return f"{capacity.estimate_hz:.3g}", f"{capacity.low_hz:.3g} - {high}"


def tax_cells(tax: Interval | None) -> tuple[str, str]:
    """The tax in percent, and its interval."""
    if tax is None:
        return "-", "-"
    return f"{100 * tax.estimate:+.1f} %", f"{100 * tax.low:+.1f} to {100 * tax.high:+.1f}"


def _notes(result: SaturationResult) -> list[str]:
    notes = [
        f"{plain(name)} (n/m): not measured: {plain(arm.capacity.why)}"
        for name, arm in result.arms.items()
        if arm.capacity.estimate_hz is None
    ]
    notes += stopped_notes(result)
    return [*notes, *(f"[yellow]warning:[/] {plain(warning)}" for warning in result.warnings)]


def stopped_notes(result: SaturationResult) -> list[str]:
    """How many probes were ended because their backlog grew, if any."""
    stopped = sum(bool(probe.stopped) for arm in result.arms.values() for probe in arm.probes)
    return [f"{stopped} probe(s) stopped early: requests came faster than they ended."] if stopped else []


def _arm_json(arm: ArmCapacity) -> dict[str, Any]:
    found = arm.capacity
    return {
        "capacity_hz": found.estimate_hz,
        "surely_between_hz": [found.low_hz, found.high_hz if math.isfinite(found.high_hz) else None],
        "capacity_tax": None if arm.tax is None else arm.tax.estimate,
        "capacity_tax_ci95": None if arm.tax is None else [arm.tax.low, arm.tax.high],
        "not_measured": found.why or None,
        "finished": not arm.unfinished,
        "probes": [_probe_json(probe) for probe in arm.probes],
    }


def _probe_json(probe: Probe) -> dict[str, Any]:
    return {
        "round": probe.round,
        "rate_hz": probe.rate_hz,
        "counted": len(probe.good),
        "good": int(probe.good.sum()),
        "throughput_hz": probe.throughput_hz,
        "stopped": probe.stopped or None,
        "invalid": probe.invalid or None,
    }
