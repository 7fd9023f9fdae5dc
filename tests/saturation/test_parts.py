"""The pure parts of the sweep: goodput, backlog, monotone fit, bracket, search."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from profiler.analysis.backlog import BacklogWatch, growth
from profiler.analysis.capacity import Held, RateResult, bracket, capacity, capacity_tax, decided, non_increasing
from profiler.analysis.goodput import fewest_requests, good_requests, good_share
from profiler.analysis.stats import Interval, proportion
from profiler.saturation.probe import Goal, Probe
from profiler.saturation.search import capacity_of, next_rate_hz
from profiler.scenario import SloConfig

MS = 1_000_000
GOAL = Goal(SloConfig(e2el_ms=100))
shares = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def requests(*rows: tuple[int, int, int, str]) -> pa.Table:
    """TTFT and E2EL in ms, tokens, outcome; all due at 5 ms."""
    return pa.table(
        {
            "scheduled_ns": [5 * MS for _ in rows],
            "first_ns": [(5 + ttft) * MS if e2el else 0 for ttft, e2el, _, _ in rows],
            "last_ns": [(5 + e2el) * MS if e2el else 0 for _, e2el, _, _ in rows],
            "output_tokens": [tokens for _, _, tokens, _ in rows],
            "outcome": [outcome for *_, outcome in rows],
        }
    )


def test_a_request_is_good_if_it_meets_every_stated_objective() -> None:
    table = requests(
        (50, 140, 10, "passed"),  # TPOT 10
        (51, 140, 10, "passed"),
        (50, 141, 10, "passed"),  # TPOT 10.1
        (50, 500, 1, "passed"),  # one token: no time per token
        (0, 0, 0, "error"),
        (20, 30, 3, "error"),  # failed after its first token
        (3, 3, 20, "blocked"),
    )
    both = good_requests(table, SloConfig(ttft_ms=50, tpot_ms=10)).tolist()
    assert both == [True, False, False, True, False, False, True]
    assert good_requests(table, SloConfig(e2el_ms=140)).tolist() == [True, True, False, False, False, False, True]


def test_the_share_allows_for_requests_that_are_good_or_bad_together() -> None:
    scattered = np.tile([True] * 9 + [False], 20)
    together = np.sort(scattered)[::-1]
    assert good_share([scattered]).half_width == pytest.approx(proportion(180, 200).half_width, rel=0.1)
    assert good_share([together]).half_width > 2 * good_share([scattered]).half_width
    assert good_share([np.ones(40, dtype=bool)]).low == proportion(40, 40).low


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 0.99))
def test_the_fewest_requests_are_just_enough(share: float) -> None:
    n = fewest_requests(share)
    assert proportion(n, n).low > share
    assert n == 1 or proportion(n - 1, n - 1).low <= share


@settings(max_examples=40, deadline=None)
@given(shares, st.integers(0, 99))
def test_the_fit_never_rises_and_agrees_with_scipy(values: list[float], seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.5, 3, len(values))
    fitted = non_increasing(values, weights)
    assert (np.diff(fitted) <= 1e-12).all()
    theirs = optimize.isotonic_regression(values, weights=weights, increasing=False).x
    np.testing.assert_allclose(fitted, theirs, atol=1e-9)


def test_growth_is_the_conditional_test_of_two_poisson_rates() -> None:
    assert growth(60, 30, 10.0).p_value == pytest.approx(
        stats.binomtest(60, 90, 0.5, alternative="greater").pvalue, rel=1e-9
    )
    assert growth(60, 30, 10.0).rate_hz == pytest.approx(3.0)
    assert growth(30, 30, 10.0).p_value > 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200))
def test_more_arrivals_are_never_less_of_a_backlog(arrived: int, ended: int) -> None:
    assert growth(arrived + 1, ended, 1.0).p_value <= growth(arrived, ended, 1.0).p_value


def queue(load: float, n: int, seed: int) -> bool:
    """Whether a single server under that load is ever found to be over-saturated."""
    arrived = np.cumsum(np.random.default_rng(seed).exponential(1 / load, n))
    ended = np.maximum.accumulate(arrived - np.arange(n)) + np.arange(n) + 1
    watch = BacklogWatch()
    for count, at in enumerate(ended.tolist(), 1):
        seen = watch.note(at, count, int(np.searchsorted(arrived, at)) - count)
        if seen is not None and seen.significant:
            return True
    return False


def test_a_backlog_is_found_where_there_is_one_only() -> None:
    assert not any(queue(load, 400, seed) for load in (0.9, 1.0) for seed in range(25))
    assert all(queue(2.0, 400, seed) for seed in range(20))


def at(rate_hz: float, share: float, low: float, high: float) -> RateResult:
    interval = Interval(share, low, high, 0.95)
    return RateResult(rate_hz, interval, 100, decided(interval, 0.9))


def test_contradictory_probes_widen_the_interval() -> None:
    agreeing = [at(4, 1, 0.96, 1), at(8, 0.95, 0.92, 0.98), at(10, 0.85, 0.8, 0.89), at(12, 0.5, 0.4, 0.6)]
    found = capacity(agreeing, 0.9)
    assert (found.low_hz, found.high_hz) == (8, 10)
    assert found.estimate_hz == pytest.approx(math.sqrt(80))
    drifted = [*agreeing, at(9, 0.7, 0.6, 0.8), at(11, 0.98, 0.95, 1)]
    found = capacity(drifted, 0.9)
    assert (found.low_hz, found.high_hz) == (8, 12)
    assert found.estimate_hz is not None and 8 < found.estimate_hz < 11


@settings(max_examples=40, deadline=None)
@given(shares)
def test_the_bracket_is_never_the_wrong_way_round(values: list[float]) -> None:
    held, missed = bracket([at(i + 1.0, share, share, share) for i, share in enumerate(values)], 0.9)
    assert held is None or missed is None or held < missed


def test_the_tax_of_half_the_capacity_is_half() -> None:
    base = [at(8, 0.97, 0.95, 0.99), at(9, 0.93, 0.9, 0.96), at(10, 0.85, 0.8, 0.89)]
    half = [at(r.rate_hz / 2, r.share.estimate, r.share.low, r.share.high) for r in base]
    tax = capacity_tax(half, base, 0.9, seed=1)
    assert tax is not None and tax.estimate == pytest.approx(0.5)
    assert 0.4 < tax.low < 0.5 < tax.high < 0.6
    assert capacity_tax(half[:1], base, 0.9, seed=1) is None


def closed(throughput_hz: float) -> Probe:
    return Probe("a", 0, None, np.ones(16, dtype=bool), throughput_hz, "", "")


def searched(limit_hz: float, resolution: float = 0.05) -> list[Probe]:
    """The probes of an arm that holds up to `limit_hz` and not above."""
    goal = Goal(GOAL.slo, resolution=resolution)
    probes = [closed(10.0)]
    while (rate_hz := next_rate_hz(probes, goal)) is not None:
        probes.append(Probe("a", len(probes), rate_hz, np.full(60, rate_hz <= limit_hz), rate_hz, "", ""))
    return probes


@settings(max_examples=12, deadline=None)
@given(st.floats(0.25, 450), st.floats(0.01, 0.2))
def test_the_search_ends_within_the_resolution(limit_hz: float, resolution: float) -> None:
    probes = searched(limit_hz, resolution)
    found = capacity_of(probes, GOAL)
    assert found.low_hz <= limit_hz <= found.high_hz <= found.low_hz * (1 + resolution) * (1 + 1e-9)
    assert len(probes) < 25


def test_what_cannot_be_bracketed_is_not_measured_and_says_why() -> None:
    low = capacity_of(searched(0.0), GOAL)
    assert low.estimate_hz is None and "not met even at 0.2" in low.why
    high = capacity_of(searched(1e9), GOAL)
    assert high.estimate_hz is None and "still holds at 480 requests/s" in high.why
    assert "closed loop" in capacity_of([closed(0.0)], GOAL).why


def test_an_undecided_rate_is_probed_again_and_late_probes_end_the_search() -> None:
    undecided = Probe("a", 1, 10.0, np.arange(60) >= 6, 10.0, "", "")
    assert next_rate_hz([closed(10.0), undecided], GOAL) == 10.0
    assert next_rate_hz([closed(10.0), undecided, undecided], GOAL) != 10.0
    late = Probe("a", 1, 10.0, np.ones(60, dtype=bool), 10.0, "", "requests were sent late")
    assert next_rate_hz([closed(10.0), late, late], GOAL) == 10.0
    assert next_rate_hz([closed(10.0), late, late, late], GOAL) is None
    assert "sent late" in capacity_of([closed(10.0), late, late, late], GOAL).why
    assert decided(Interval(0.95, 0.9, 1.0, 0.95), 0.9) is Held.UNDECIDED
