"""The pure parts of the plan: objectives, intervals of shares in bursts, curves, readings, fleets, traffic."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.analysis.capacity import RateResult, decided, non_increasing
from profiler.analysis.curve_check import CheckedRate, CurveCheck
from profiler.analysis.fleet import SPARE_REPLICAS, difference, replicas, whole
from profiler.analysis.load_curve import best_curve
from profiler.analysis.percentile_capacity import read_capacity
from profiler.analysis.percentiles import Objective, parse_objectives, percentile, share_within
from profiler.analysis.power_at_rate import watts_at
from profiler.analysis.stats import Interval, autocorrelation_time, effective_proportion, proportion, quantile_interval
from profiler.analysis.traffic import WINDOW_S, traffic_of
from profiler.capacity_plan.capacity import percentile_capacity
from profiler.capacity_plan.probes import PlanProbe
from profiler.report.numbers import whole_range
from tests.saturation.test_sweep import md1_capacity_hz

P99 = Objective("ttft_ms", 0.99, 50.0)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ttftpotse2elp_0159=.,ms ", max_size=30))
def test_an_objective_is_read_or_refused(text: str) -> None:
    try:
        found = parse_objectives(text)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert all(0 < one.share < 1 and one.limit_ms > 0 for one in found)


def test_objectives_in_both_units() -> None:
    assert parse_objectives(" ttft_p99 = 0.5s, tpot_p99.9=50ms") == (
        Objective("ttft_ms", 0.99, 500.0),
        Objective("tpot_ms", 0.999, 50.0),
    )
    assert P99.name == "ttft_p99" and P99.words == "TTFT p99"


def test_the_time_of_an_ar1_process_is_known() -> None:
    rng = np.random.default_rng(1)
    for phi in (0.0, 0.5, 0.9):
        values = [0.0]
        for noise in rng.standard_normal(60_000).tolist():
            values.append(phi * values[-1] + noise)
        assert autocorrelation_time([values]) == pytest.approx((1 + phi) / (1 - phi), rel=0.15)
    assert autocorrelation_time([np.ones(50)]) == 1.0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_whole_numbers_have_clopper_and_pearsons_interval(counts: tuple[int, int]) -> None:
    hits, n = counts
    mine, theirs = effective_proportion(hits / n, n), proportion(hits, n)
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_bursts_widen_the_interval_even_where_nothing_missed() -> None:
    rng = np.random.default_rng(2)
    scattered = rng.uniform(0, 49, 1000)
    bursts = np.repeat(rng.uniform(0, 49, 50), 20)
    calm, stormy = (share_within([values], P99) for values in (scattered, bursts))
    assert calm.estimate == stormy.estimate == 1.0
    assert calm.low == pytest.approx(proportion(1000, 1000).low, abs=0.003)
    assert stormy.low < 1 - 5 * (1 - calm.low)


def test_a_percentile_of_independent_requests_has_the_order_statistics_interval() -> None:
    values = np.random.default_rng(3).exponential(10, 3000)
    mine, theirs = percentile([values], 0.99), quantile_interval(values, 0.99)
    assert mine.estimate == theirs.estimate
    assert mine.low <= theirs.low and mine.high >= theirs.high
    assert mine.high - mine.low < 1.6 * (theirs.high - theirs.low)
    assert percentile([values[:200]], 0.99).high == math.inf


CURVES: dict[str, Callable[[float], float]] = {
    "batch": lambda rate: 30 / (1 - rate / 12),
    "queue": lambda rate: 30 + 8 * (rate / 12) ** 4 / (1 - rate / 12),
    "shape": lambda rate: 30 * math.exp(0.02 * rate + (2.5 if rate > 5.5 else 0.0)),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_that_made_the_points_is_chosen_and_predicts_between_them(name: str) -> None:
    rates = np.arange(1.0, 11.0)
    found = best_curve(rates, [CURVES[name](rate) for rate in rates.tolist()])
    assert found is not None
    if name != "batch":  # which is a queue of another exponent, too
        assert found.name == name
    for rate in (2.5, 4.5, 7.5, 9.5):
        assert found.predict(rate) == pytest.approx(CURVES[name](rate), rel=0.05)
    assert best_curve(rates[:4], rates[:4]) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1, 1e4), min_size=5, max_size=9), st.integers(0, 99))
def test_a_curve_between_points_stays_within_reason(latency: list[float], seed: int) -> None:
    rates = np.sort(np.random.default_rng(seed).choice(np.arange(1, 100), len(latency), replace=False)).astype(float)
    found = best_curve(rates, latency)
    assert found is not None and len(found.left_out) == len(latency)
    said = found.predict(float(rates[0]) + 0.4 * float(rates[-1] - rates[0]))
    assert said is not None and 0 <= said < 1e7


def results(shares: list[float], required: float, n: int = 300) -> list[RateResult]:
    found = [(10.0 * (i + 1), proportion(round(share * n), n)) for i, share in enumerate(shares)]
    return [RateResult(rate, share, n, decided(share, required)) for rate, share in found]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.05, 0.99))
def test_a_reading_lies_where_the_monotone_fit_crosses(shares: list[float], required: float) -> None:
    seen = results(shares, required)
    still = np.zeros((4, len(seen)))
    found = read_capacity(seen, required, still, np.full(4, 0.5))
    fitted = non_increasing([one.share.estimate for one in seen], [1.0] * len(seen))
    held = int((fitted >= required - 1e-12).sum())
    edges = [0.0, *(one.rate_hz for one in seen), math.inf]
    assert (found.held_hz, found.missed_hz) == (edges[held], edges[held + 1])
    assert found.held_hz <= found.crossing_hz <= found.missed_hz
    inside = 0 < held < len(seen)
    assert found.draws_hz.tolist() == [(edges[held] + edges[held + 1]) / 2 if inside else edges[held and held + 1]] * 4


@pytest.mark.parametrize(
    ("counts", "held_hz"),
    [([(16, 0), (32, 1)], 1.0), ([(44, 0)] * 5 + [(88, 1)], 5.0)],
)
def test_of_requests_too_few_for_the_share_nothing_is_read_between(
    counts: list[tuple[int, int]], held_hz: float
) -> None:
    shares = [(float(i + 1), n, proportion(n - missed, n)) for i, (n, missed) in enumerate(counts)]
    seen = [RateResult(rate, share, n, decided(share, 0.99)) for rate, n, share in shares]
    found = read_capacity(seen, 0.99, np.zeros((4, len(seen))), np.full(4, 0.5))
    assert found.crossing_hz == found.held_hz == held_hz


def test_a_curve_is_trusted_where_both_ends_were_checked_and_neither_parts() -> None:
    def check(*ends: tuple[float | None, float]) -> CurveCheck:
        """Of a measured 100 ms, whose interval ends at `high`."""
        rates = [CheckedRate(rate, 9, Interval(100, 10, high, 0.95), said) for rate, (said, high) in enumerate(ends, 1)]
        return CurveCheck("queue", 0.1, tuple(rates))

    assert check((110.0, 120.0), (90.0, 120.0)).trusted_between(1, 2)
    assert check((130.0, 140.0), (90.0, math.inf)).trusted_between(1, 2)
    assert not check((110.0, 120.0), (None, 120.0)).trusted_between(1, 2)
    # An interval without an end holds any prediction.
    assert not check((110.0, 120.0), (900.0, math.inf)).trusted_between(1, 2)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 50), st.floats(0.1, 5000), st.floats(0, 0.9))
def test_replicas_are_enough_and_one_fewer_would_not_be(capacity: float, rate: float, headroom: float) -> None:
    serving = float(replicas(capacity, rate, headroom)) - SPARE_REPLICAS
    assert serving * capacity * (1 - headroom) >= rate * (1 - 1e-6)
    assert serving == 1 or (serving - 1) * capacity * (1 - headroom) < rate


def test_replicas_of_nothing_and_of_anything() -> None:
    assert replicas([0.0, math.inf], 10.0, 0.0).tolist() == [math.inf, 1 + SPARE_REPLICAS]
    assert replicas(5.0, 10.0, 0.0) == 2 + SPARE_REPLICAS
    with pytest.raises(ValueError, match="headroom"):
        replicas(5.0, 10.0, 1.0)


def test_a_difference_of_two_unknowns_bounds_nothing() -> None:
    draws = difference(np.array([3.0, math.inf, math.inf]), np.array([1.0, 1.0, math.inf]))
    found = whole(2.0, draws)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert [whole_range(Interval(2, low, high, 0.95)) for low, high in ((2, 4), (-1, 3), (-math.inf, 3))] == [
        "2–4",
        "-1 to 3",
        "?–3",
    ]


def test_power_is_straight_between_rates_and_nothing_outside() -> None:
    watts = watts_at(np.array([0.0, 10.0]), np.array([100.0, 200.0]), [5.0, 11.0])
    assert watts[0] == 150.0 and math.isnan(watts[1])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 20_000), min_size=2, max_size=60), st.floats(0.5, 4))
def test_the_busiest_minute_is_the_busiest(times_s: list[float], scale: float) -> None:
    at_s = np.sort(np.array([0.0, *times_s, max(times_s) + 61]))
    found = traffic_of(np.rint(at_s * 1e9))
    most = max(int(((at_s >= begin - 1e-9) & (at_s < begin + WINDOW_S - 1e-9)).sum()) for begin in at_s.tolist())
    assert found.peak_arrivals in (most, most - 1, most + 1)  # two arrivals just a minute apart
    assert found.hours_hz.max() == found.peak_hz
    assert found.hours_s.sum() == pytest.approx(at_s[-1])
    again = traffic_of(np.rint(at_s * 1e9), scale * found.mean_hz)
    assert (again.mean_hz, again.peak_hz) == pytest.approx((scale * found.mean_hz, scale * found.peak_hz))


def test_a_remainder_shorter_than_a_minute_is_no_hour() -> None:
    whole_hours = traffic_of(np.array([0, 1800, 3600, 7201]) * 10**9)
    assert whole_hours.hours_s.tolist() == [3600.0, 3601.0]
    assert traffic_of(np.array([0, 7300]) * 10**9).hours_s.tolist() == [3600.0, 3600.0, 100.0]


def queue_probe(rate_hz: float, n: int, rng: np.random.Generator) -> PlanProbe:
    """An M/D/1 queue of 10 ms a request, by Lindley's recursion."""
    arrived, work = np.cumsum(rng.exponential(1 / rate_hz, n)), np.arange(n) * 0.01
    latency = ((np.maximum.accumulate(arrived - work) + work + 0.01 - arrived) * 1e3)[n // 5 :]
    k = len(latency)
    return PlanProbe(rate_hz, False, {"ttft_ms": latency}, np.zeros(k, np.bool_), np.ones(k), np.ones((2, k)), None, "")


def test_the_interval_holds_the_capacity_of_a_queue_whose_requests_wait_together() -> None:
    # In most probes of 1,600 counted requests most bursts of misses do not occur.
    truth, objective, held = md1_capacity_hz(0.99, 12), Objective("ttft_ms", 0.99, 130.0 + 1e-6), 0
    measured = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        probes = [queue_probe(float(rate), 2000, rng) for rate in (60, 70, 75, 80, 84, 88, 92, 96)]
        found = percentile_capacity(probes, [objective], None, (seed,))
        measured += found.interval is not None
        held += found.interval is not None and found.interval.contains(truth)
    assert measured >= 20 and held >= 0.9 * measured


def made_probe(rate_hz: float, ttft_ms: list[float], *, stopped: bool = False, e2el_ms: float = 100.0) -> PlanProbe:
    k = len(ttft_ms)
    latency = {"ttft_ms": np.array(ttft_ms), "e2el_ms": np.full(k, e2el_ms)}
    return PlanProbe(rate_hz, stopped, latency, np.zeros(k, np.bool_), np.ones(k), np.ones((2, k)), None, "")


def test_a_stopped_probe_invents_no_capacity() -> None:
    def probes(stopped: bool) -> list[PlanProbe]:
        calm = [made_probe(rate, [300 / (10 - rate)] * 2000) for rate in (1.0, 2, 3, 4)]
        beyond = made_probe(5.0, [math.inf] * 2000, stopped=True) if stopped else made_probe(5.0, [60.0] * 2000)
        return [*calm, beyond, made_probe(6.0, [75.0] * 2000)]

    objective = Objective("ttft_ms", 0.99, 55.0)
    assert percentile_capacity(probes(False), [objective], None, (1,)).interpolated
    found = percentile_capacity(probes(True), [objective], None, (1,))
    assert (found.hz, found.missed_hz, found.interpolated) == (4.0, 5.0, False)
    assert found.between == "a probe at 5 was stopped as its backlog grew, so its share of misses is not measured"


@pytest.mark.parametrize("late_ms", [10.0, 90.0])
def test_requests_that_cannot_show_the_percentile_measure_nothing(late_ms: float) -> None:
    found = percentile_capacity([made_probe(10.0, [10.0]), made_probe(20.0, [late_ms])], [P99], None, (1,))
    assert found.state == "not measured" and found.interval is None
    assert "1 request(s) at" in found.why and "too few to show that TTFT p99 holds" in found.why
    assert found.seconds > 10
