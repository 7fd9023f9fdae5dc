"""Windows of made cards in made time."""

from collections.abc import Collection

from profiler.meters.gpu_meter import GpuMeter, probe
from profiler.meters.gpus import find_gpus
from profiler.meters.not_measured import NotMeasured
from profiler.meters.recorder import Recorder
from profiler.records.samples import Samples
from tests.meters.fake_nvml import Clock


def gpu_meter(clock: Clock, pids: Collection[int] = ()) -> GpuMeter:
    gpus = find_gpus()
    assert not isinstance(gpus, NotMeasured)
    return GpuMeter([probe(gpu, now_ns=clock.now_ns, pause=clock.pause) for gpu in gpus], lambda: pids, clock.now_ns)


def window(recorder: Recorder, clock: Clock, seconds: float, period_s: float = 0.1) -> Samples:
    """A window of so many seconds, swept ten times a second."""
    end_ns = clock.t_ns + round(seconds * 1e9)
    recorder.begin()
    while clock.t_ns + round(period_s * 1e9) < end_ns:
        clock.pause(period_s)
        recorder.sweep()
    clock.t_ns = end_ns
    return recorder.end()
