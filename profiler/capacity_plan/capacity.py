"""One arm's capacity under every objective at once, from its probes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from profiler.analysis.capacity import Floats, RateResult, decided
from profiler.analysis.curve_check import CurveCheck, curve_check
from profiler.analysis.fleet import whole
from profiler.analysis.percentile_capacity import RESAMPLES, Reading, read_capacity
from profiler.analysis.percentiles import Objective, worth
from profiler.analysis.stats import Interval, min_n_for_quantile, quantile
from profiler.capacity_plan.again import sweep_command
from profiler.capacity_plan.mix import share_in_mix, why_not, work_changes
from profiler.capacity_plan.probes import PlanProbe
from profiler.saturation.probe import RAMP_SHARE

State = Literal["measured", "at least", "not measured"]


@dataclass(frozen=True)
class PercentileCapacity:
    """The highest rate of one replica, requests/s. `bound` is the objective that ends it, `rates_hz` the rates tried.

    "At least": no rate tried missed any objective, `hz` is the highest of them, and nothing is known above. `draws_hz`
    (resamples,) holds 0 where a draw has no rate that holds and inf where it has none that misses. `interpolated`:
    whether `hz` lies between two rates; else it is the highest that held, and `between` says why no more is read.
    `seconds`: how long a probe at the highest rate that held must be for its requests to show the percentile; 0 where
    they do.
    """

    state: State
    hz: float
    interval: Interval | None
    bound: Objective | None
    held_hz: float
    missed_hz: float
    interpolated: bool
    draws_hz: Floats
    rates_hz: tuple[float, ...]
    checks: Mapping[str, CurveCheck]
    notes: tuple[str, ...] = ()
    why: str = ""
    seconds: float = 0.0
    between: str = ""

    @property
    def safe_draws_hz(self) -> Floats:
        """The draws; where no rate missed, never above the highest tried, which is what a replica surely does."""
        return self.draws_hz if self.state == "measured" else np.minimum(self.draws_hz, max(self.rates_hz, default=0.0))


def percentile_capacity(
    probes: Sequence[PlanProbe], objectives: Sequence[Objective], harmful: float | None, seed: Sequence[int]
) -> PercentileCapacity:
    """Each objective by itself at every rate, then the lowest of their capacities, draw by draw.

    The objectives of a draw are off in the same direction at a rate, since they are the same requests', and cross at
    the same place in their brackets.
    """
    by_rate = _by_rate(probes)
    checks = {one.name: _check(by_rate, one) for one in objectives}
    if not by_rate:
        return _none(checks, (), "no valid probe at a rate of its own")
    every = [one for found in by_rate.values() for one in found]
    if harmful is not None and (why := why_not(every, harmful)):
        return _none(checks, tuple(by_rate), why)
    rng = np.random.default_rng(list(seed))
    normal, places = rng.standard_normal((RESAMPLES, len(by_rate))), rng.uniform(size=RESAMPLES)
    readings: dict[Objective, tuple[Reading, str]] = {}
    notes = [] if harmful is None else [_work_note(every, harmful)]
    for one in objectives:
        seen = _results(by_rate, one, harmful)
        if not seen:
            notes.append(f"{one.words}: every answer came in one piece: there is no time per token to miss it")
            continue
        columns = [i for i, rate in enumerate(by_rate) if rate in {result.rate_hz for result in seen}]
        reading = read_capacity(seen, one.share, normal[:, columns], places)
        readings[one] = reading, _not_between(reading, checks[one.name], by_rate)
    if not readings:
        return _none(checks, tuple(by_rate), "no answer has a time that the objectives are on")
    found = _shown(_lowest(readings, tuple(by_rate), checks, tuple(notes)), by_rate, objectives)
    filled = "" if found.state == "not measured" else _not_full(by_rate[found.held_hz], objectives, harmful)
    return replace(found, notes=(*found.notes, filled)) if filled else found


def _work_note(probes: Sequence[PlanProbe], harmful: float) -> str:
    said = ", ".join(f"{100 * change:+.1f} % {name}" for name, change in work_changes(probes, harmful).items())
    return f"at {100 * harmful:.3g} % harmful a request is other work by {said or 'an unknown share'}"


def _not_full(probes: Sequence[PlanProbe], objectives: Sequence[Objective], harmful: float | None) -> str:
    """What to say where counting began before as many requests were under way as there are in the long run."""
    for probe in probes:
        known = probe.latency_ms.get("e2el_ms", np.zeros(0))
        known = known[np.isfinite(known)]
        seconds = quantile(known, 0.9) / 1e3 if len(known) else 0.0
        if seconds > probe.ramp_s:
            again = sweep_command(objectives, harmful, seconds * (1 - RAMP_SHARE) / RAMP_SHARE)
            return (
                f"answers take {seconds:.3g} s (p90 E2EL at {probe.rate_hz:.3g} requests/s), and only the first "
                f"{probe.ramp_s:.3g} s of the probe are not counted: it began to count before the batch was full, so "
                f"the capacity may be too high: {again}"
            )
    return ""


def _not_between(reading: Reading, check: CurveCheck, by_rate: Mapping[float, Sequence[PlanProbe]]) -> str:
    """Why nothing may be read between the two rates; empty where it may."""
    ends = [rate for rate in (reading.held_hz, reading.missed_hz) if rate in by_rate]
    if stopped := [rate for rate in ends if any(probe.stopped for probe in by_rate[rate])]:
        return f"a probe at {stopped[-1]:.3g} was stopped as its backlog grew, so its share of misses is not measured"
    if not check.trusted_between(reading.held_hz, reading.missed_hz):
        return "see the check"
    return "too few requests at the rate that held" if reading.crossing_hz == reading.held_hz else ""


def _shown(
    found: PercentileCapacity, by_rate: Mapping[float, Sequence[PlanProbe]], objectives: Sequence[Objective]
) -> PercentileCapacity:
    """With the seconds that a probe takes to show the percentile; not measured where these cannot show it at all."""
    if found.state == "not measured":
        return found
    probes = by_rate[found.held_hz]
    # Where none ends it, the highest percentile is the one that takes most.
    bound = found.bound or max(objectives, key=lambda one: one.share)
    seconds = _seconds(probes, bound)
    if whole(found.hz, found.draws_hz).low > 0:
        return found if found.state == "at least" else replace(found, seconds=seconds)
    n = sum(len(probe.harmful) for probe in probes)
    why = (
        f"{n} request(s) at {found.held_hz:.3g} requests/s, and those below, are too few to show that {bound.words} "
        "holds at any rate"
    )
    none = _none(found.checks, found.rates_hz, why)
    # Enough for the percentile by itself, and yet in doubt: four times as many halve an interval.
    return replace(none, bound=found.bound, notes=found.notes, seconds=seconds or 4 * n / found.held_hz)


def _seconds(probes: Sequence[PlanProbe], bound: Objective) -> float:
    """How long the probes would have to be, if they are too short to show the objective."""
    known = [values for probe in probes if len(values := probe.of(bound.metric))]
    if not known:
        return 0.0
    needed = min_n_for_quantile(bound.share) / worth(known, bound)
    return needed * sum(map(len, known)) / probes[0].rate_hz if needed > 1 else 0.0


def _lowest(
    readings: Mapping[Objective, tuple[Reading, str]],
    rates: tuple[float, ...],
    checks: Mapping[str, CurveCheck],
    notes: tuple[str, ...],
) -> PercentileCapacity:
    draws = np.min([reading.draws_hz for reading, _ in readings.values()], axis=0)
    bound, (lowest, between) = min(readings.items(), key=lambda found: _estimate_hz(*found[1]))
    hz = _estimate_hz(lowest, between)
    if hz == 0:
        why = f"{bound.words} is above {bound.limit_ms:g} ms even at {rates[0]:.3g} requests/s, the lowest rate tried"
        return replace(_none(checks, rates, why), bound=bound)
    if math.isinf(hz):
        return PercentileCapacity(
            "at least", rates[-1], None, None, rates[-1], math.inf, False, draws, rates, checks, notes
        )
    interval = whole(hz, draws)
    return PercentileCapacity(
        "measured", hz, interval, bound, lowest.held_hz, lowest.missed_hz, not between, draws, rates, checks, notes,
        between=between,
    )  # fmt: skip


def _estimate_hz(reading: Reading, between: str) -> float:
    """Between the two rates only where nothing speaks against it."""
    return reading.held_hz if between and not math.isinf(reading.missed_hz) else reading.crossing_hz


def _none(checks: Mapping[str, CurveCheck], rates: tuple[float, ...], why: str) -> PercentileCapacity:
    return PercentileCapacity(
        "not measured", math.nan, None, None, 0.0, math.inf, False, np.zeros(RESAMPLES), rates, checks, (), why
    )


def _by_rate(probes: Sequence[PlanProbe]) -> dict[float, list[PlanProbe]]:
    """The valid probes, the lowest rate first."""
    found: dict[float, list[PlanProbe]] = {}
    for probe in sorted(probes, key=lambda one: one.rate_hz):
        if not probe.invalid and len(probe.harmful):
            found.setdefault(probe.rate_hz, []).append(probe)
    return found


def _results(by_rate: Mapping[float, Sequence[PlanProbe]], one: Objective, harmful: float | None) -> list[RateResult]:
    found = []
    for rate, probes in by_rate.items():
        share = share_in_mix(probes, one, harmful)
        if share is not None:
            weight = sum(len(probe.of(one.metric)) for probe in probes)
            found.append(RateResult(rate, share, weight, decided(share, one.share)))
    return found


def _check(by_rate: Mapping[float, Sequence[PlanProbe]], one: Objective) -> CurveCheck:
    """Over the rates below the first at which a backlog grew: above it there is no percentile to predict."""
    ends = min((rate for rate, probes in by_rate.items() if any(p.stopped for p in probes)), default=math.inf)
    arrays = {rate: [p.of(one.metric) for p in probes] for rate, probes in by_rate.items() if rate < ends}
    return curve_check(arrays, one.share)
