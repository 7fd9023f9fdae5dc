"""What NVML can be asked of a card, each quantity by its name and unit in the samples."""

from collections.abc import Callable, Mapping
from typing import Any

import pynvml

from profiler.meters.gpus import Gpu

Reading = Callable[[Gpu], float]

# Not the power cap: a card at full load is at its cap all the time.
SLOWED = {
    "hardware": pynvml.nvmlClocksThrottleReasonHwSlowdown,
    "heat (software)": pynvml.nvmlClocksThrottleReasonSwThermalSlowdown,
    "heat (hardware)": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
    "power brake": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
}
POWER_INSTANT = "instantaneous power (NVML_FI_DEV_POWER_INSTANT)"
POWER_USAGE = "nvmlDeviceGetPowerUsage (averaged over 1 s by the driver from Ampere on, GA100 excepted)"


def energy_j(gpu: Gpu) -> float:
    """The total-energy counter, joules since the driver was loaded."""
    return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle)) / 1e3


def power_instant_w(gpu: Gpu) -> float:
    """Power at the moment; drivers from about 530 on."""
    found = pynvml.nvmlDeviceGetFieldValues(gpu.handle, [pynvml.NVML_FI_DEV_POWER_INSTANT])[0]
    if found.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(found.nvmlReturn)
    return float(found.value.uiVal) / 1e3


def power_usage_w(gpu: Gpu) -> float:
    """Power as the driver averages it."""
    return float(pynvml.nvmlDeviceGetPowerUsage(gpu.handle)) / 1e3


def throttle_reasons(gpu: Gpu) -> float:
    """Bits of why the clocks are held back now."""
    return float(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu.handle))


def memory_used_bytes(gpu: Gpu) -> float:
    """Device memory in use. The driver's own reserve is left out where it can be told apart, as nvidia-smi does."""
    try:
        return float(pynvml.nvmlDeviceGetMemoryInfo(gpu.memory_handle, version=pynvml.nvmlMemory_v2).used)
    except (pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_NotSupported, pynvml.NVMLError_ArgumentVersionMismatch):
        return float(pynvml.nvmlDeviceGetMemoryInfo(gpu.memory_handle).used)


FAST: Mapping[str, Reading] = {"energy_j": energy_j, "throttle_reasons": throttle_reasons}
SLOW: Mapping[str, Reading] = {
    "utilisation_percent": lambda gpu: float(pynvml.nvmlDeviceGetUtilizationRates(gpu.handle).gpu),
    "sm_clock_mhz": lambda gpu: float(pynvml.nvmlDeviceGetClockInfo(gpu.handle, pynvml.NVML_CLOCK_SM)),
    "memory_clock_mhz": lambda gpu: float(pynvml.nvmlDeviceGetClockInfo(gpu.handle, pynvml.NVML_CLOCK_MEM)),
    "temperature_c": lambda gpu: float(pynvml.nvmlDeviceGetTemperature(gpu.handle, pynvml.NVML_TEMPERATURE_GPU)),
    "memory_used_bytes": memory_used_bytes,
}


def memory_by_pid(gpu: Gpu) -> dict[int, int | None]:
    """Device memory of each compute process on the card, bytes; None where the driver does not tell (MIG, vGPU)."""
    running: list[Any] = pynvml.nvmlDeviceGetComputeRunningProcesses(gpu.memory_handle)
    return {int(one.pid): None if one.usedGpuMemory is None else int(one.usedGpuMemory) for one in running}


def slowed_by(reasons: int) -> list[str]:
    """The reasons among these bits that void a measurement."""
    return [name for name, bit in SLOWED.items() if reasons & bit]
