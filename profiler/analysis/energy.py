"""Joules of a window from samples: by the counter, and beside it by the integral of power."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from profiler.records.samples import Samples, Series

J_PER_KWH = 3.6e6
AGREE_WITHIN = 0.03
LONG_ENOUGH_S = 20.0
"""Windows shorter than this leave the counter's steps, and the warming of the card, in the figure."""


@dataclass(frozen=True)
class WindowEnergy:
    """One device in one window. `joules` is the counter's, else the integral's.

    `low` and `high`: the counter moves in steps, so at each end up to one step (power x update period) of its energy
    is not yet, or not any more, in the reading. Without a counter nothing bounds the integral, and both are `joules`.
    """

    source: str
    joules: float
    low: float
    high: float
    seconds: float
    counter_j: float | None
    integral_j: float | None
    peak_w: float | None

    @property
    def average_w(self) -> float:
        """Mean power."""
        return self.joules / self.seconds if self.seconds > 0 else 0.0


def gpu_energy(samples: Samples) -> tuple[WindowEnergy, ...] | None:
    """Every GPU's energy; None where there is none, or one has vanished: the others' alone would mislead."""
    gpus: Sequence[Mapping[str, Any]] = samples.facts.get("gpus", ())
    found = [_gpu(samples, gpu) for gpu in gpus]
    known = tuple(one for one in found if one is not None)
    return known if known and len(known) == len(gpus) else None


def cpu_energy(samples: Samples) -> tuple[WindowEnergy, ...] | None:
    """Every RAPL zone's energy; None where there is none, or one was lost."""
    zones: Sequence[Mapping[str, Any]] = samples.facts.get("rapl", ())
    found = [_zone(samples, zone) for zone in zones]
    known = tuple(one for one in found if one is not None)
    return known if known and len(known) == len(zones) else None


def integral_j(power: Series) -> float | None:
    """Trapezoid over power samples with their own times; None below two samples."""
    if len(power.t_ns) < 2:
        return None
    seconds = (power.t_ns - power.t_ns[0]) / 1e9
    return float(np.sum(np.diff(seconds) * (power.value[1:] + power.value[:-1]) / 2))


def counted_j(counter: Series, wraps_at_j: float = 0.0) -> float | None:
    """What a counter grew by, over its turns from `wraps_at_j` to 0; None below two samples."""
    if len(counter.value) < 2:
        return None
    grown = np.diff(counter.value)
    return float(np.sum(np.where(grown < 0, grown + wraps_at_j, grown)))


def _gpu(samples: Samples, gpu: Mapping[str, Any]) -> WindowEnergy | None:
    if gpu.get("lost"):
        return None
    source = str(gpu["source"])
    counter, power = samples.series(source, "energy_j"), samples.series(source, "power_w")
    counted, integral = counted_j(counter), integral_j(power)
    peak_w = float(power.value.max()) if len(power.value) else None
    if counted is not None:
        period_s = gpu.get("update_period_s", {}).get("energy_j") or 0.0
        before, after = _steps_j(counted / max(counter.seconds, 1e-9), power, period_s)
        return WindowEnergy(
            source, counted, counted - before, counted + after, counter.seconds, counted, integral, peak_w
        )
    if integral is None:
        return None
    return WindowEnergy(source, integral, integral, integral, power.seconds, None, integral, peak_w)


def _steps_j(average_w: float, power: Series, period_s: float) -> tuple[float, float]:
    """One step of the counter at each end: at the power of then, or the window's if that is higher."""
    ends = (float(power.value[0]), float(power.value[-1])) if len(power.value) else (0.0, 0.0)
    return max(average_w, ends[0]) * period_s, max(average_w, ends[1]) * period_s


def _zone(samples: Samples, zone: Mapping[str, Any]) -> WindowEnergy | None:
    counter = samples.series(str(zone["source"]), "energy_j")
    joules = None if zone.get("lost") else counted_j(counter, float(zone["wraps_at_j"]))
    # RAPL counts every millisecond: its steps are nothing beside a window.
    if joules is None:
        return None
    return WindowEnergy(str(zone["source"]), joules, joules, joules, counter.seconds, joules, None, None)
