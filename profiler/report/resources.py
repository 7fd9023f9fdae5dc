"""What each arm cost the machine: energy, CPU seconds and memory, by role. 80 columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from profiler.analysis.arm_resources import ArmResources, Energy
from profiler.analysis.process_use import Memory
from profiler.analysis.resources import GpuState
from profiler.analysis.tax import RunResult
from profiler.meters.roles import ROLES
from profiler.report.text import plain

_ARMS_A_TABLE = 5
_SOURCES = {"gpu": "GPU", "cpu": "CPU", "gpu+cpu": "GPU+CPU"}
_WORDS = {
    "gpu": "GPU energy, clocks, heat, memory",
    "cpu_energy": "CPU energy",
    "pss": "PSS",
}


_ENGINE_MEMORY = (
    ("kv_pool_bytes", "it takes"),
    ("weights_bytes", "weights"),
    ("activation_peak_bytes", "activation peak"),
)


def absence_word(name: str) -> str:
    """What a reader calls a meter that is absent."""
    return _WORDS.get(name, name)


def meter_notes(manifest: Mapping[str, Any]) -> list[str]:
    """The KV pool, and how the energy was measured, a sentence a card."""
    notes, facts = list[str](), manifest["facts"]
    if "kv_pool_tokens" in facts:
        notes.append(
            f"KV pool: {facts['kv_pool_tokens']} tokens, {facts['kv_blocks']} blocks of {facts['kv_block_tokens']}"
            + "".join(f"; {word} {int(facts[key]) / 2**20:.0f} MiB" for key, word in _ENGINE_MEMORY if key in facts)
            + "."
        )
    for gpu in manifest.get("meters", {}).get("gpus", ()):
        period_s, ways = gpu["update_period_s"], []
        if "energy_j" in period_s:
            ways.append(f"energy counter, moves every {_ms(period_s['energy_j'])}")
        if "power_w" in period_s:
            ways.append(f"{gpu['power_source']}, changes every {_ms(period_s['power_w'])}")
        if ways:
            notes.append(f"{gpu['source']} ({gpu['name']}): {'; '.join(ways)}.")
    if zones := manifest.get("meters", {}).get("rapl"):
        notes.append(f"CPU energy: RAPL, {', '.join(zones)}: whole sockets, whatever runs there.")
    return notes


def _ms(period_s: float | None) -> str:
    return "(not seen to change in 1 s)" if period_s is None else f"{1e3 * period_s:.0f} ms"


def resources_tables(result: RunResult) -> Iterator[Table]:
    """A column an arm, five arms a table; rows only of what was measured. None where no arm has samples."""
    arms = [(name, arm.resources) for name, arm in result.arms.items() if arm.resources is not None]
    for start in range(0, len(arms), _ARMS_A_TABLE):
        yield _table(arms[start : start + _ARMS_A_TABLE], "What it cost the machine" if start == 0 else None)


def _table(arms: Sequence[tuple[str, ArmResources]], title: str | None) -> Table:
    table = Table(title=title, title_justify="left", padding=(0, 1))
    table.add_column("", overflow="fold")
    for name, _ in arms:
        table.add_column(plain(name), justify="right", overflow="fold")
    found = [arm for _, arm in arms]
    for source, word in _SOURCES.items():
        _add_energy(table, word, [arm.energy.get(source) for arm in found])
    _add_states(table, found)
    _add_cpu(table, found)
    _add_memory(table, "PSS", [arm.pss for arm in found])
    _add_memory(table, "GPU memory", [_device(arm.device) for arm in found])
    return table


def _add_energy(table: Table, word: str, arms: Sequence[Energy | None]) -> None:
    if all(one is None for one in arms):
        return
    rows: list[tuple[str, Callable[[Energy], float | None]]] = [
        ("J/token, gross", lambda e: e.j_per_token),
        ("  by its steps, ±", _reach),
        ("J/token, net of idle", lambda e: e.net_j_per_token),
        ("J/request", lambda e: e.j_per_request),
        ("J/harmful blocked", lambda e: e.j_per_harmful_blocked),
        ("average W", lambda e: e.average_w),
        ("peak W", lambda e: e.peak_w),
        ("cost/M tokens", lambda e: e.cost),
        ("gCO2e/M tokens", lambda e: e.gco2e),
    ]
    for label, of in rows:
        values = [None if one is None else of(one) for one in arms]
        if any(value is not None for value in values):
            table.add_row(f"{word} {label}" if not label.startswith(" ") else label, *map(_figure, values))


def _reach(energy: Energy) -> float | None:
    if energy.low is None or energy.high is None or energy.high == energy.low:
        return None
    return (energy.high - energy.low) / 2


def _add_states(table: Table, arms: Sequence[ArmResources]) -> None:
    rows: list[tuple[str, Callable[[GpuState], float | None]]] = [
        ("busy, %", lambda gpu: gpu.utilisation_percent),
        ("SM clock, MHz", lambda gpu: gpu.sm_clock_mhz),
        ("hottest, °C", lambda gpu: gpu.temperature_peak_c),
    ]
    for source in dict.fromkeys(source for arm in arms for source in arm.gpus):
        for label, of in rows:
            values = [of(arm.gpus[source]) if source in arm.gpus else None for arm in arms]
            if any(value is not None for value in values):
                table.add_row(f"{source} {label}", *("-" if v is None else f"{v:.0f}" for v in values))


def _add_cpu(table: Table, arms: Sequence[ArmResources]) -> None:
    rows = []
    for role in ROLES:
        used = [arm.cpu_s_per_request.get(role, 0.0) if arm.cpu_s_per_request else None for arm in arms]
        if any(s is not None and s >= 0.0005 for s in used):
            rows.append((role, [_figure(None if s is None else 1e3 * s) for s in used]))
    _add_by_role(table, "CPU ms/request", rows)
    total = [sum(arm.cpu_s_per_token.values()) if arm.cpu_s_per_token else None for arm in arms]
    if any(s is not None for s in total):
        table.add_row("CPU ms/token, all", *(_figure(None if s is None else 1e3 * s) for s in total))


def _add_memory(table: Table, word: str, arms: Sequence[Mapping[str, Memory]]) -> None:
    rows = []
    for role in (*ROLES, "all"):
        found = [arm.get(role) for arm in arms]
        if any(one is not None and one.peak >= 0.5 for one in found):
            rows.append((role, ["-" if one is None else f"{one.steady:.0f}" for one in found]))
    peaks = [arm.get("all") for arm in arms]
    if any(one is not None for one in peaks):
        rows.append(("all, peak", ["-" if one is None else f"{one.peak:.0f}" for one in peaks]))
    _add_by_role(table, f"{word}, MiB", rows)


def _add_by_role(table: Table, word: str, rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    """A line for what it is, and one a role below it."""
    if rows:
        table.add_row(word)
    for role, cells in rows:
        table.add_row(f"  {role.replace('_', ' ')}", *cells)


def _device(found: Mapping[str, Memory]) -> Mapping[str, Memory]:
    """By process; the cards' own count where the driver does not tell processes apart."""
    return found if "all" in found or "card" not in found else {"all": found["card"]}


def _figure(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.9995 else 3
    return f"{value:.{digits}f}"
