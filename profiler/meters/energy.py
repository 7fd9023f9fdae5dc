"""Energy: a counter where the machine has one, else the reason why not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pynvml

_POWERCAP = Path("/sys/class/powercap")


class EnergyMeter(Protocol):
    """A counter of joules that only grows."""

    @property
    def source(self) -> str:
        """What is counted."""
        ...

    def read_j(self) -> float:
        """Joules since some moment."""
        ...


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Why this machine has no figure."""

    why: str


@dataclass(frozen=True)
class NvmlEnergy:
    """The GPUs' own total-energy counters, summed."""

    handles: tuple[object, ...]

    @property
    def source(self) -> str:
        """Which devices."""
        return f"NVML energy counter of {len(self.handles)} GPU(s)"

    def read_j(self) -> float:
        """Joules since the driver was loaded."""
        return sum(float(pynvml.nvmlDeviceGetTotalEnergyConsumption(h)) for h in self.handles) / 1e3


def find_energy_meter() -> EnergyMeter | NotMeasured:
    """The machine's energy counter, or why there is none."""
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        handles = tuple(pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(count))
        meter = NvmlEnergy(handles)
        if handles:
            meter.read_j()
            return meter
        gpu = "no GPU"
    except pynvml.NVMLError as error:
        gpu = f"NVML: {error}"
    rapl = "no RAPL counter" if not any(_POWERCAP.glob("*rapl*")) else "RAPL is not read yet"
    return NotMeasured(f"{gpu}; {rapl}")
