"""One arm's fleet: replicas, GPUs, hours, money and energy, all from the same draws of its capacity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from profiler.analysis.energy import J_PER_KWH
from profiler.analysis.fleet import HOURS_A_DAY, difference, replicas, scaled, whole
from profiler.analysis.power_at_rate import Floats, Power, power_curve, watts_at
from profiler.analysis.stats import Interval
from profiler.analysis.traffic import Traffic
from profiler.capacity_plan.again import sweep_command
from profiler.capacity_plan.asked import Asked
from profiler.capacity_plan.capacity import PercentileCapacity

_MILLION = 1e6


@dataclass(frozen=True)
class Energy:
    """Per million output tokens and requests, kWh; `of` says of what, `where` at which load if not the plan's own."""

    kwh_per_mtokens: Interval | None
    kwh_per_mrequests: Interval | None
    of: str = ""
    where: str = ""
    why: str = ""


@dataclass(frozen=True)
class OverTrace:
    """A fleet over the trace: replicas by hour, and GPU-hours of it and of one that is always ready for the peak."""

    replicas_by_hour: tuple[int, ...]
    gpu_hours_scaled: Interval
    gpu_hours_peak: Interval


@dataclass(frozen=True)
class Fleet:
    """`replicas` and `gpus` are N + 1; an estimate is an upper bound where the capacity is "at least".

    An interval has no lower end where the capacity's has no upper one, or where that is "at least". Costs are per
    million output tokens and requests in the currency of the prices, energy's share included where it was measured
    and has a price. `gpu_draws` (resamples,) are what differences are made of.
    """

    replicas: Interval
    gpus_per_replica: int
    gpus: Interval
    gpu_hours_a_day: Interval
    tokens_a_request: float
    cost_per_mtokens: Interval | None
    cost_per_mrequests: Interval | None
    energy: Energy
    over_trace: OverTrace | None
    gpu_draws: Floats


@dataclass(frozen=True)
class More:
    """GPUs over the baseline's: `interval`, or one bound ("at least", "at most"), or why it is not known."""

    interval: Interval | None
    bound: str = ""
    gpus: int = 0
    why: str = ""


def fleet_of(
    found: PercentileCapacity, asked: Asked, gpus: int, tokens: float, powers: Sequence[Power], elsewhere: Energy
) -> Fleet | None:
    """The fleet; None where the capacity was not measured. `elsewhere` is the energy where the sweep metered none."""
    if found.state == "not measured":
        return None
    drawn = replicas(found.safe_draws_hz, asked.serve_hz, asked.headroom)
    count = float(replicas(found.hz, asked.serve_hz, asked.headroom))
    energy = energy_of(powers, asked, count, found, drawn, tokens) if powers else elsewhere
    kept = _interval(found, count, drawn)
    mean_gpus = scaled(kept, gpus)
    a_request_h = 1 / (3600 * asked.mean_hz)
    hardware = None if asked.gpu_hour_price is None else scaled(mean_gpus, asked.gpu_hour_price * a_request_h)
    per_request = _with_energy(hardware, energy, asked)
    return Fleet(
        kept,
        gpus,
        mean_gpus,
        scaled(mean_gpus, HOURS_A_DAY),
        tokens,
        scaled(per_request, _MILLION / tokens) if per_request is not None and tokens else None,
        scaled(per_request, _MILLION) if per_request is not None else None,
        energy,
        None if asked.traffic is None else _over_trace(asked.traffic, found, asked.headroom, gpus, kept),
        drawn * gpus,
    )


def _open_below(found: PercentileCapacity, drawn: Floats) -> Floats:
    """What is least for the highest capacity, (resamples,): a draw that no rate missed bounds it from above alone."""
    return np.where(np.isinf(found.draws_hz), -np.inf, drawn)


def _interval(found: PercentileCapacity, estimate: float, drawn: Floats) -> Interval:
    """Of the same; it has no lower end where the data's own capacity has no upper one."""
    interval = whole(estimate, _open_below(found, drawn))
    return interval if found.state == "measured" else replace(interval, low=-math.inf)


def energy_of(
    powers: Sequence[Power], asked: Asked, count: float, capacity: PercentileCapacity, drawn: Floats, tokens: float
) -> Energy:
    """The whole fleet's power at the mean rate, every replica under the same load, over requests and tokens."""
    rates, watts = power_curve(powers)
    each_hz = asked.mean_hz / count
    one = float(watts_at(rates, watts, each_hz)) * count
    of = powers[0].of
    if math.isnan(one):
        return Energy(
            None, None, of, why=f"a replica would do {each_hz:.3g} requests/s, and power was metered "
            f"from {rates[0]:.3g} to {rates[-1]:.3g}",
        )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        all_watts = watts_at(rates, watts, asked.mean_hz / drawn) * drawn
    found = _interval(capacity, one, all_watts)
    # Power is at least 0; an end that nothing bounds stays one, whatever the counters' steps.
    low = max(0.0, found.low * min(p.low for p in powers)) if math.isfinite(found.low) else -math.inf
    high = found.high * max(p.high for p in powers) if math.isfinite(found.high) else math.inf
    bounds = Interval(one, min(low, one), max(high, one), found.confidence)
    per_request = scaled(bounds, 1 / asked.mean_hz / J_PER_KWH)
    return Energy(scaled(per_request, _MILLION / tokens) if tokens else None, scaled(per_request, _MILLION), of)


def more_than(
    mine: Fleet | None, found: PercentileCapacity, base: Fleet | None, its: PercentileCapacity, asked: Asked
) -> More:
    """The difference to the baseline, of the two's independent draws; one-sided where one never missed the SLO."""
    if mine is None or base is None:
        return More(None, why="the baseline's capacity was not measured" if base is None else found.why)
    count, states = mine.gpus.estimate - base.gpus.estimate, (found.state, its.state)
    if states == ("at least", "at least"):
        return More(None, why=f"no rate tried missed the SLO: {sweep_command(asked.objectives, asked.harmful)}")
    drawn = [
        _open_below(one, fleet.gpu_draws) if one.state == "measured" else fleet.gpu_draws
        for one, fleet in ((found, mine), (its, base))
    ]
    interval = whole(count, difference(*drawn))
    if states == ("measured", "measured"):
        return More(interval)
    # A difference of whole things is one; a baseline that is an upper bound makes it a lower one.
    bound, end = ("at least", interval.low) if its.state == "at least" else ("at most", interval.high)
    if not math.isfinite(end):
        again = sweep_command(asked.objectives, asked.harmful, max(found.seconds, its.seconds))
        return More(None, why=f"too few requests: the capacity that was measured has no upper end: {again}")
    if bound == "at least" and end < 0:
        again = sweep_command(asked.objectives, asked.harmful)
        return More(None, why=f"it may cost fewer or more: no rate tried missed the SLO on the baseline: {again}")
    return More(None, bound, int(end))


def _over_trace(traffic: Traffic, found: PercentileCapacity, headroom: float, gpus: int, peak: Interval) -> OverTrace:
    hours = traffic.hours_s / 3600
    by_hour = replicas(found.hz, traffic.hours_hz, headroom)
    drawn = replicas(found.safe_draws_hz[:, None], traffic.hours_hz[None, :], headroom)
    hourly = _interval(found, float(by_hour @ hours) * gpus, drawn @ hours * gpus)
    return OverTrace(tuple(int(one) for one in by_hour.tolist()), hourly, scaled(peak, gpus * traffic.seconds / 3600))


def _with_energy(hardware: Interval | None, energy: Energy, asked: Asked) -> Interval | None:
    """Money a request: hardware, energy, or both, where there is a price."""
    power = None
    if asked.kwh_price is not None and energy.kwh_per_mrequests is not None:
        power = scaled(energy.kwh_per_mrequests, asked.kwh_price / _MILLION)
    if hardware is None or power is None:
        return power if hardware is None else hardware
    return Interval(
        hardware.estimate + power.estimate, hardware.low + power.low, hardware.high + power.high, hardware.confidence
    )
