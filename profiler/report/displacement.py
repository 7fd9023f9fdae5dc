"""What the guards take from the generator's KV cache, and what that did. 80 columns."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from profiler.analysis.displacement import Displacement, KvDisplacement
from profiler.analysis.tax import RunResult
from profiler.meters.not_measured import NotMeasured
from profiler.report.text import plain
from profiler.scenario import BASELINE

_HOW = {
    "PSS": "PSS of the guards' processes, which share the host's memory with the pool",
    "NVML by process": "device memory of the guards' processes",
    "card": "what the card held after the guards were opened, less before",
}
_COMPUTED = (
    "One engine, all guards resident in every arm, the baseline's too: what they displace is computed, not contended. "
    "`isolation: dedicated` runs each arm with the pool that its guards leave."
)


def print_displacement(result: RunResult, console: Console) -> None:
    """Print the table and how to read it, or why there is none."""
    found = result.displacement
    if found is None:
        return
    if isinstance(found, NotMeasured):
        console.print(f"KV displacement (n/m): not measured: {plain(found.why)}", highlight=False)
        return
    if not found.arms:
        return
    console.print(_table(found, result))
    for note in _notes(found):
        console.print(note, highlight=False)


def displacement_json(found: KvDisplacement | NotMeasured | None) -> dict[str, Any]:
    """The same as data."""
    if found is None or isinstance(found, NotMeasured):
        why = "not derived" if found is None else found.line
        return {"isolation": None, "pool": None, "arms": {}, "not_measured": why}
    return {**asdict(found), "computed": found.isolation == "shared", "not_measured": None}


def _table(found: KvDisplacement, result: RunResult) -> Table:
    table = Table(title="KV cache that the guards displace", title_justify="left", padding=(0, 1))
    table.add_column("", overflow="fold")
    dedicated = found.isolation == "dedicated"
    arms = ([BASELINE] if dedicated else []) + list(found.arms)
    for name in arms:
        table.add_column(plain(name), justify="right", overflow="fold")
    of = [found.arms.get(name) for name in arms]
    rows: list[tuple[str, Callable[[Displacement], str]]] = [
        ("footprint, MiB", lambda one: f"{one.footprint_mib:.0f}"),
        ("KV blocks", lambda one: str(one.blocks)),
        ("KV tokens", lambda one: str(one.tokens)),
        ("share of the pool", lambda one: f"{one.share:.1%}"),
        ("requests that fit no more", lambda one: "n/m" if one.requests_lost is None else f"{one.requests_lost:.1f}"),
    ]
    for label, text in rows:
        table.add_row(label, *("-" if one is None else text(one) for one in of))
    if dedicated:
        predicted = [found.pool.blocks if one is None else one.predicted_blocks for one in of]
        left = [found.pool.blocks if one is None else one.found_blocks for one in of]
        table.add_row("pool predicted, blocks", *("stated" if n is None else str(n) for n in predicted))
        table.add_row("pool found, blocks", *("n/m" if n is None else str(n) for n in left))
        run = [result.arms.get(name) for name in arms]
        table.add_row("preemptions", *("-" if arm is None else str(arm.preemptions) for arm in run))
        table.add_row("output tok/s", *("-" if arm is None else f"{arm.output_tokens_per_s:.1f}" for arm in run))
    return table


def _notes(found: KvDisplacement) -> list[str]:
    said = "; ".join(dict.fromkeys(_HOW[one.how] for one in found.arms.values()))
    notes = [f"Footprint: {said}."]
    if found.request_tokens is not None:
        notes.append(
            f"The whole pool holds {found.pool.tokens} tokens: {found.requests:.1f} requests of this run's mean "
            f"length, {found.request_tokens:.0f} tokens of prompt and answer."
        )
    return [*notes, _COMPUTED] if found.isolation == "shared" else notes
