"""Host time by process and part: an arm's recorded trial less the baseline's, a request."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.stacks.run import ArmStacks


@dataclass(frozen=True)
class HostTime:
    """ms of host time a request in one part of one process, and its difference to the baseline.

    `half_width` is 1.96 standard errors of the difference if samples came at random (Poisson); the two trials'
    other differences are not in it.
    """

    process: str
    part: str
    baseline_ms: float
    arm_ms: float
    half_width_ms: float

    @property
    def difference_ms(self) -> float:
        """What the arm takes more."""
        return self.arm_ms - self.baseline_ms


def host_times(baseline: ArmStacks, arm: ArmStacks, rate_hz: float) -> tuple[HostTime, ...]:
    """Every part of every process that either recorded, the greatest difference first."""
    keys = dict.fromkeys((process, part) for one in (baseline, arm) for process, part in _keys(one.seconds))
    found = [
        HostTime(process, part, *_pair(baseline, arm, process, part, rate_hz))
        for process, part in keys
        if process not in baseline.missing and process not in arm.missing
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.difference_ms)))


def _keys(seconds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
    return [(process, part) for process, parts in seconds.items() for part in parts]


def _pair(baseline: ArmStacks, arm: ArmStacks, process: str, part: str, rate_hz: float) -> tuple[float, float, float]:
    """Ms a request in both, and how far their difference may be off."""
    before, after = (one.seconds.get(process, {}).get(part, 0.0) / one.requests * 1e3 for one in (baseline, arm))
    # A sample stands for 1 / rate seconds; its count is Poisson, at least one where none was seen.
    variance = sum(
        max(ms * one.requests / 1e3 * rate_hz, 1.0) * (1e3 / rate_hz / one.requests) ** 2
        for ms, one in ((before, baseline), (after, arm))
    )
    return before, after, 1.96 * math.sqrt(variance)
