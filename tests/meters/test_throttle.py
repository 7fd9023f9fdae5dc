"""Throttling, with NVML faked at its boundary: there is no GPU in the tests."""

import pynvml
import pytest

from profiler.meters.energy import NotMeasured
from profiler.meters.throttle import ThrottleMeter, find_throttle_meter


def gpus(monkeypatch: pytest.MonkeyPatch, *reasons: int) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: len(reasons))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons", lambda handle: reasons[handle])


@pytest.mark.parametrize(
    ("reason", "throttled"),
    [
        (0, False),
        (pynvml.nvmlClocksThrottleReasonGpuIdle, False),
        (pynvml.nvmlClocksThrottleReasonSwPowerCap, False),
        (pynvml.nvmlClocksThrottleReasonSwThermalSlowdown, True),
        (pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown, True),
    ],
)
def test_heat_and_the_power_brake_are_throttling_of_any_gpu(
    reason: int, throttled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 0, reason)
    meter = find_throttle_meter()
    assert isinstance(meter, ThrottleMeter)
    assert meter.throttled() is throttled


def test_no_gpu_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch)
    assert find_throttle_meter() == NotMeasured("no GPU")
