"""A probe: one arm at one rate, as its stored trial tells it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from profiler.analysis.capacity import RateResult, decided
from profiler.analysis.columns import Bools, ints
from profiler.analysis.goodput import good_requests, good_share, stated
from profiler.analysis.stats import quantile
from profiler.analysis.validity import LAG_LIMIT_MS
from profiler.records.store import StoredTrial
from profiler.scenario import SloConfig

COLUMNS = ("index", "scheduled_ns", "sent_ns", "first_ns", "last_ns", "output_tokens", "outcome")
"""The columns that `probe_of` reads."""
RAMP_SHARE = 0.2
"""The first requests of a probe find the engine empty: this share of them is not counted."""
_LAG_SHARE_OF_SLO = 0.1


@dataclass(frozen=True)
class Goal:
    """What is looked for: the highest rate, to within `resolution`, at which `good_fraction` of requests are good.

    A probe sends requests for `probe_seconds`, longer where so few would not show it. `curve`: also probe lower rates.
    """

    slo: SloConfig
    good_fraction: float = 0.9
    resolution: float = 0.05
    probe_seconds: float = 30.0
    curve: bool = False


@dataclass(frozen=True)
class Probe:
    """One probe. `good` has the requests that count, in the order of arrival; none is, if it was stopped.

    `rate_hz` is None for the closed loop that a sweep begins with, `throughput_hz` what ended a second.
    `invalid` is why the probe is not used, empty if it is.
    """

    arm: str
    round: int
    rate_hz: float | None
    good: Bools
    throughput_hz: float
    stopped: str
    invalid: str


def probe_of(trial: StoredTrial, goal: Goal) -> Probe:
    """Reduce a trial.

    A probe was stopped because its backlog grew: in the long run each of its requests would wait longer than
    the last, so none counts as good.
    """
    info = trial.info
    table = trial.table.take(np.argsort(ints(trial.table, "index")))
    good = good_requests(table, goal.slo)
    seconds = max((info.ended_ns - info.started_ns) / 1e9, 1e-9)
    counted = np.zeros_like(good) if info.stopped else good[round(RAMP_SHARE * len(good)) :]
    late = "" if info.rate_hz is None else lateness(trial, min(stated(goal.slo).values()))
    throughput_hz = int(np.count_nonzero(ints(table, "first_ns"))) / seconds
    return Probe(info.arm, info.block, info.rate_hz, counted, throughput_hz, info.stopped, late)


def results(probes: Iterable[Probe], required: float) -> list[RateResult]:
    """The valid open-loop probes of one arm, put together by rate, the lowest first."""
    by_rate: dict[float, list[Bools]] = {}
    for probe in probes:
        if probe.rate_hz is not None and not probe.invalid and len(probe.good):
            by_rate.setdefault(probe.rate_hz, []).append(probe.good)
    found = []
    for rate_hz, good in sorted(by_rate.items()):
        share = good_share(good)
        found.append(RateResult(rate_hz, share, sum(map(len, good)), decided(share, required)))
    return found


def lateness(trial: StoredTrial, tightest_ms: float) -> str:
    """Why the load was not the one asked for, if it was not; `tightest_ms` is the SLO's tightest limit."""
    lag_ms = (ints(trial.table, "sent_ns") - ints(trial.table, "scheduled_ns")) / 1e6
    worst_ms = quantile(lag_ms, 0.99) if len(lag_ms) else 0.0
    if worst_ms <= max(LAG_LIMIT_MS, _LAG_SHARE_OF_SLO * tightest_ms):
        return ""
    return (
        f"requests were sent late (lag p99 {worst_ms:.1f} ms; allowed: {LAG_LIMIT_MS:g} ms, or "
        f"{_LAG_SHARE_OF_SLO:.0%} of the tightest SLO, {tightest_ms:g} ms)"
    )
