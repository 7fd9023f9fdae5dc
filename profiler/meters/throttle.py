"""Whether a GPU held its clocks back for heat or for want of power."""

from dataclasses import dataclass

import pynvml

from profiler.meters.energy import NotMeasured

# Not the power cap: a card at full load is at its cap all the time.
_SLOWED = (
    pynvml.nvmlClocksThrottleReasonHwSlowdown
    | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
    | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
)


@dataclass(frozen=True)
class ThrottleMeter:
    """Asks every GPU of the machine, at the moment; a short slowdown between two looks is missed."""

    handles: tuple[object, ...]

    def throttled(self) -> bool:
        """Whether any GPU is slowed by heat, by its hardware, or by the power brake."""
        return any(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) & _SLOWED for handle in self.handles)


def find_throttle_meter() -> ThrottleMeter | NotMeasured:
    """The machine's GPUs, or why there is nothing to ask."""
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        meter = ThrottleMeter(tuple(pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)))
        if not count:
            return NotMeasured("no GPU")
        meter.throttled()
        return meter
    except pynvml.NVMLError as error:
        return NotMeasured(f"NVML: {error}")
