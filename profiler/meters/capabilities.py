"""What this machine's meters can and cannot do, in a line each, with the cure where there is one."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from profiler.meters.gpu_meter import Card, GpuMeter
from profiler.meters.meters import gpu_warnings, open_gpus
from profiler.meters.not_measured import NotMeasured
from profiler.meters.process_meter import ProcessMeter, find_pss
from profiler.meters.rapl import POWERCAP, find_rapl


def meter_lines(
    powercap: Path = POWERCAP,
    now_ns: Callable[[], int] = time.monotonic_ns,
    pause: Callable[[float], None] = time.sleep,
) -> list[tuple[str, str]]:
    """Name of the meter, and what it can do or why not. Watches each GPU for two seconds."""
    with closing(ProcessMeter()) as processes:
        gpus = open_gpus(processes, now_ns, pause)
    return [*_gpu_lines(gpus), ("CPU energy", _rapl(powercap)), ("CPU time", "of every process, by role"), _memory()]


def _gpu_lines(gpus: GpuMeter | NotMeasured) -> Iterator[tuple[str, str]]:
    if isinstance(gpus, NotMeasured):
        yield "GPU", f"not measured: {gpus.why}"
        return
    for card in gpus.cards:
        yield card.gpu.source, f"{card.gpu.name}, {card.gpu.uuid}"
        yield "  energy", _energy(card)
        yield "  power", _power(card)
        if others := [f"{name} ({why})" for name, why in card.absent.items() if name not in ("energy_j", "power_w")]:
            yield "  missing", f"not measured: {'; '.join(others)}"
    for text in gpu_warnings(gpus):
        yield "  note", text


def _energy(card: Card) -> str:
    if (why := card.absent.get("energy_j")) is not None:
        return f"not measured: no counter ({why}); power is integrated in its place"
    return f"counter, moves every {_period(card, 'energy_j')}"


def _power(card: Card) -> str:
    if (why := card.absent.get("power_w")) is not None:
        return f"not measured: {why}"
    return f"{card.power_source}, changes every {_period(card, 'power_w')}"


def _period(card: Card, name: str) -> str:
    period_s = card.period_s.get(name)
    return "(not seen to change in 1 s)" if period_s is None else f"{1e3 * period_s:.0f} ms"


def _rapl(powercap: Path) -> str:
    meter = find_rapl(powercap)
    if isinstance(meter, NotMeasured):
        return f"not measured: {meter.why}"
    return f"RAPL: {', '.join(zone.name for zone in meter.zones)} (whole sockets)"


def _memory() -> tuple[str, str]:
    pss = find_pss()
    return (
        "memory",
        "RSS and PSS of every process, by role" if pss is None else f"RSS by role; PSS not measured: {pss.why}",
    )
