"""What a trial cost the machine: joules, CPU seconds and memory, from its samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from profiler.analysis.energy import WindowEnergy, cpu_energy, gpu_energy
from profiler.analysis.process_use import CardMemory, Memory, cards, cpu_s_by_role, device_memory, memory_by_role
from profiler.meters.gpu_readings import SLOWED
from profiler.records.record import Readings
from profiler.records.samples import Samples


@dataclass(frozen=True)
class GpuState:
    """How a card was in a window. None where it does not tell. `slowed`: what held its clocks back (heat, brake)."""

    source: str
    utilisation_percent: float | None
    sm_clock_mhz: float | None
    memory_clock_mhz: float | None
    temperature_peak_c: float | None
    slowed: tuple[str, ...] | None
    lost: str


@dataclass(frozen=True)
class TrialResources:
    """One trial's cost. Energy is None, and the mappings are empty, where nothing was measured.

    `cpu_s`, `rss`, `pss` are by role, memory with "all"; `device` also has "card", all that the cards hold.
    """

    gpu_energy: tuple[WindowEnergy, ...] | None
    cpu_energy: tuple[WindowEnergy, ...] | None
    cpu_s: Mapping[str, float]
    rss: Mapping[str, Memory]
    pss: Mapping[str, Memory]
    device: Mapping[str, Memory]
    gpus: tuple[GpuState, ...]
    sampler_share: float | None
    cards: Mapping[str, CardMemory] = field(default_factory=dict)

    def joules(self) -> dict[str, float]:
        """Gross energy by "gpu" and "cpu": what there is."""
        parts = {"gpu": self.gpu_energy, "cpu": self.cpu_energy}
        return {name: sum(one.joules for one in part) for name, part in parts.items() if part is not None}


def resources_of(samples: Samples) -> TrialResources:
    """Derive a window's figures."""
    seconds = (samples.facts["ended_ns"] - samples.facts["began_ns"]) / 1e9
    sampler_s = samples.facts.get("sampler_cpu_s")
    return TrialResources(
        gpu_energy=gpu_energy(samples),
        cpu_energy=cpu_energy(samples),
        cpu_s=cpu_s_by_role(samples),
        rss=memory_by_role(samples, "rss_bytes"),
        pss=memory_by_role(samples, "pss_bytes"),
        device=device_memory(samples),
        gpus=tuple(_state(samples, gpu) for gpu in samples.facts.get("gpus", ())),
        sampler_share=None if sampler_s is None or seconds <= 0 else sampler_s / seconds,
        cards=cards(samples),
    )


def readings_of(samples: Samples) -> Readings:
    """What is kept in the trial itself: totals. Energy is the GPUs'."""
    found = resources_of(samples)
    slowed = [gpu.slowed for gpu in found.gpus if gpu.slowed is not None]
    return Readings(
        peak_memory_mib=found.rss["all"].peak if found.rss else None,
        cpu_s=sum(found.cpu_s.values()) if found.cpu_s else None,
        energy_j=found.joules().get("gpu"),
        throttled=any(slowed) if slowed else None,
    )


def _state(samples: Samples, gpu: Mapping[str, Any]) -> GpuState:
    source = str(gpu["source"])

    def mean(name: str) -> float | None:
        value = samples.series(source, name).value
        return float(value.mean()) if len(value) else None

    heat = samples.series(source, "temperature_c").value
    reasons = samples.series(source, "throttle_reasons").value
    bits = int(np.bitwise_or.reduce(reasons.astype(np.int64))) if len(reasons) else None
    return GpuState(
        source=source,
        utilisation_percent=mean("utilisation_percent"),
        sm_clock_mhz=mean("sm_clock_mhz"),
        memory_clock_mhz=mean("memory_clock_mhz"),
        temperature_peak_c=float(heat.max()) if len(heat) else None,
        slowed=None if bits is None else tuple(name for name, bit in SLOWED.items() if bits & bit),
        lost=str(gpu.get("lost", "")),
    )


def idle_watts(resources: TrialResources | None) -> dict[str, float]:
    """Power of the idle window, by "gpu" and "cpu": what there is."""
    if resources is None:
        return {}
    parts: dict[str, Sequence[WindowEnergy] | None] = {"gpu": resources.gpu_energy, "cpu": resources.cpu_energy}
    return {name: sum(one.average_w for one in part) for name, part in parts.items() if part is not None}
