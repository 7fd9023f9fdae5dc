"""Which rate an arm is probed at next: a pure function of what has been seen."""

import math
from collections.abc import Sequence

from profiler.analysis.capacity import Capacity, Held, bracket, capacity
from profiler.saturation.probe import Goal, Probe, results

# An undecided rate is probed again, so often in all; near the capacity itself no number of probes decides.
_PROBES_A_RATE = 2
_LATE_PROBES = 3
_PROBES_AN_ARM = 40
# How far from the closed loop's throughput a bracket is looked for.
_FURTHEST = 64.0
_FIRST_STEP, _STEP = 1.5, 2.0
# Where a load-latency curve begins to bend; the search itself has the rates above.
_CURVE = (0.25, 0.5, 0.65, 0.8)


def next_rate_hz(probes: Sequence[Probe], goal: Goal) -> float | None:
    """The rate of an arm's next probe, requests/s; None when its search is over.

    Up or down from the closed loop's throughput until the objectives hold at one rate and not at another, by
    the monotone fit of `capacity`, then the geometric mean of the two until they are within the resolution; then,
    for a curve, some shares of the closed loop's throughput.
    """
    start_hz = _start_hz(probes)
    if not start_hz or _late(probes) or len(probes) > _PROBES_AN_ARM:
        return None
    return _searched_hz(probes, goal, start_hz) or _curve_hz(probes, goal, start_hz)


def _curve_hz(probes: Sequence[Probe], goal: Goal, start_hz: float) -> float | None:
    """The next rate of the load-latency curve that has not been probed, if there is to be one."""
    rates = [share * start_hz for share in _CURVE] if goal.curve else []
    return next((rate for rate in rates if not any(probe.rate_hz == rate for probe in probes)), None)


def _searched_hz(probes: Sequence[Probe], goal: Goal, start_hz: float) -> float | None:
    seen = results(probes, goal.good_fraction)
    if not seen:
        return start_hz
    for result in seen:
        if result.held is Held.UNDECIDED and _probes_at(probes, result.rate_hz) < _PROBES_A_RATE:
            return result.rate_hz
    step = _FIRST_STEP if len(seen) == 1 else _STEP
    held, missed = bracket(seen, goal.good_fraction)
    if held is None:
        lower = seen[0].rate_hz / step
        return lower if lower >= start_hz / _FURTHEST else None
    if missed is None:
        higher = seen[-1].rate_hz * step
        return higher if higher <= start_hz * _FURTHEST else None
    return None if missed <= held * (1 + goal.resolution) else math.sqrt(held * missed)


def capacity_of(probes: Sequence[Probe], goal: Goal) -> Capacity:
    """An arm's capacity from all of its probes, or why it was not measured."""
    if not probes:
        return _not_measured("the sweep ended before this arm's first probe")
    if not _start_hz(probes):
        return _not_measured("no request of the closed loop was answered")
    seen = results(probes, goal.good_fraction)
    if (late := _late(probes)) and None in bracket(seen, goal.good_fraction):
        return _not_measured(f"{late}: free a core")
    if None in bracket(seen, goal.good_fraction) and unfinished(probes, goal):
        return _not_measured("the sweep ended before one rate held and another did not")
    return capacity(seen, goal.good_fraction)


def unfinished(probes: Sequence[Probe], goal: Goal) -> bool:
    """Whether the arm's search would have gone on: the run was interrupted."""
    return not any(p.rate_hz is None for p in probes) or next_rate_hz(probes, goal) is not None


def _start_hz(probes: Sequence[Probe]) -> float:
    return next((probe.throughput_hz for probe in probes if probe.rate_hz is None), 0.0)


def _late(probes: Sequence[Probe]) -> str:
    """Why the search gives up, if too many probes were not the load asked for."""
    late = [probe for probe in probes if probe.invalid]
    return f"{late[-1].invalid} at {late[-1].rate_hz:.3g} requests/s" if len(late) >= _LATE_PROBES else ""


def _probes_at(probes: Sequence[Probe], rate_hz: float) -> int:
    return sum(probe.rate_hz == rate_hz and not probe.invalid for probe in probes)


def _not_measured(why: str) -> Capacity:
    return Capacity(None, 0.0, math.inf, why)
