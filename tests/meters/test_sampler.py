"""The sampling thread."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from profiler.meters.meter import Sink
from profiler.meters.recorder import Recorder
from profiler.meters.sampler import Sampler


class Counting:
    """Counts its readings, says when there were four, and fails at the sixth if it should."""

    def __init__(self, fails: bool = False) -> None:
        self.reads, self.fails, self.four = 0, fails, threading.Event()

    def fast(self, sink: Sink) -> None:
        self.reads += 1
        sink.add("made", "reads", self.reads, self.reads)
        if self.fails and threading.current_thread().name == "meters":
            self.four.set()
            raise RuntimeError("a meter broke")
        if self.reads >= 4:
            self.four.set()

    def slow(self, sink: Sink, *, edge: bool) -> None:
        sink.add("made", "edge", edge, self.reads)

    def facts(self) -> Mapping[str, Any]:
        return {"made": True}


def test_samples_are_taken_while_a_window_is_open_and_at_both_its_ends() -> None:
    meter = Counting()
    sampler = Sampler(Recorder([meter]), period_s=0.001)
    sampler.begin()
    assert meter.four.wait(60)
    samples = sampler.end()
    taken = samples.series("made", "reads").value
    assert list(taken) == list(range(1, len(taken) + 1))
    edges = samples.series("made", "edge").value
    assert edges[0] == edges[-1] == 1
    assert samples.facts["made"] and samples.facts["sampler_cpu_s"] > 0
    reads = meter.reads
    sampler.close()
    assert meter.reads == reads


def test_a_new_window_starts_empty() -> None:
    sampler = Sampler(Recorder([Counting()]), period_s=3600)
    sampler.begin()
    sampler.end()
    sampler.begin()
    assert list(sampler.end().series("made", "reads").value) == [3, 4]
    sampler.close()


def test_a_meter_that_breaks_is_said_when_the_window_ends() -> None:
    meter = Counting(fails=True)
    sampler = Sampler(Recorder([meter]), period_s=0.001)
    sampler.begin()
    assert meter.four.wait(60)
    sampler.close()
    with pytest.raises(RuntimeError, match="a meter broke"):
        sampler.end()
