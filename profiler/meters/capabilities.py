"""What this machine's meters can and cannot do, and how to enable what they cannot, where there is a way."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pynvml

from profiler.meters.capability import Capability, absent
from profiler.meters.gpu_meter import Card, GpuMeter
from profiler.meters.meters import gpu_warnings, open_gpus
from profiler.meters.not_measured import NotMeasured
from profiler.meters.process_meter import ProcessMeter, find_pss
from profiler.meters.rapl import POWERCAP, find_rapl

_NO_GPU = "where there is one: NVIDIA's driver (`nvidia-smi` must answer); a container needs `--gpus all`"
_HIDDEN = "unset CUDA_VISIBLE_DEVICES, or name a GPU that `nvidia-smi -L` lists"
_NO_COUNTER = "Volta and newer cards have one"
_BY_PROCESS = "in a container `--pid=host`, and no MIG or vGPU"


def meter_capabilities(
    powercap: Path = POWERCAP,
    now_ns: Callable[[], int] = time.monotonic_ns,
    pause: Callable[[float], None] = time.sleep,
) -> list[Capability]:
    """Each meter, and what it can do or why not. Watches each GPU for two seconds."""
    with closing(ProcessMeter()) as processes:
        gpus = open_gpus(processes, now_ns, pause)
    return [*_gpus(gpus), _rapl(powercap), Capability("CPU time", "of every process, by role", True), _memory()]


def _gpus(gpus: GpuMeter | NotMeasured) -> Iterator[Capability]:
    if isinstance(gpus, NotMeasured):
        yield absent("GPU", gpus, _HIDDEN if "CUDA_VISIBLE_DEVICES" in gpus.why else _NO_GPU)
        return
    for card in gpus.cards:
        name = card.gpu.source
        yield Capability(name, f"NVML: {card.gpu.name}, {card.gpu.uuid}", True)
        yield _energy(card)
        yield _power(card)
        yield _device_memory(card)
        for what, why in card.absent.items():
            if what not in ("energy_j", "power_w"):
                cure = _BY_PROCESS if what == "memory_by_process" else ""
                yield absent(f"{name} {_WORDS.get(what, what)}", NotMeasured(why), cure)
    for text in gpu_warnings(gpus):
        yield Capability("GPU note", text)


_WORDS = {
    "throttle_reasons": "throttling",
    "utilisation_percent": "utilisation",
    "sm_clock_mhz": "clock",
    "memory_clock_mhz": "memory clock",
    "temperature_c": "heat",
    "memory_used_bytes": "memory",
    "memory_by_process": "memory by process",
}


def _energy(card: Card) -> Capability:
    name = f"{card.gpu.source} energy"
    if (why := card.absent.get("energy_j")) is not None:
        return absent(name, NotMeasured(f"no counter ({why}); power is integrated in its place"), _NO_COUNTER)
    return Capability(name, f"counter, moves every {_period(card, 'energy_j')}", True)


def _power(card: Card) -> Capability:
    name = f"{card.gpu.source} power"
    if (why := card.absent.get("power_w")) is not None:
        return absent(name, NotMeasured(why))
    return Capability(name, f"{card.power_source}, changes every {_period(card, 'power_w')}", True)


def _device_memory(card: Card) -> Capability:
    name = f"{card.gpu.source} memory"
    try:
        held = pynvml.nvmlDeviceGetMemoryInfo(card.gpu.memory_handle)
    except pynvml.NVMLError as error:
        return absent(name, NotMeasured(str(error)))
    return Capability(name, f"{held.free / 2**30:.1f} of {held.total / 2**30:.1f} GiB free", True)


def _period(card: Card, name: str) -> str:
    period_s = card.period_s.get(name)
    return "(not seen to change in 1 s)" if period_s is None else f"{1e3 * period_s:.0f} ms"


def _rapl(powercap: Path) -> Capability:
    meter = find_rapl(powercap)
    if isinstance(meter, NotMeasured):
        return absent("CPU energy", meter)
    return Capability("CPU energy", f"RAPL: {', '.join(zone.name for zone in meter.zones)} (whole sockets)", True)


def _memory() -> Capability:
    if (pss := find_pss()) is not None:
        return absent("memory", NotMeasured(f"PSS: {pss.why}; RSS is, by role"))
    return Capability("memory", "RSS and PSS of every process, by role", True)
