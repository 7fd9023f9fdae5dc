"""Stopping when the interval is narrow enough, and still covering."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, stats  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats import Look, SequentialRule, TEstimate
from profiler.analysis.stats.sequential import confidence_per_look

histories = st.integers(0, 40).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-0.5, 0.5)))
RULE = SequentialRule(half_width=0.02, min_blocks=8, max_blocks=30)


@settings(deadline=None)
@given(histories)
def test_stops_only_for_a_reason(history: np.ndarray) -> None:
    look = RULE.look(history)
    assert look.stop == (look.reason in ("narrow enough", "out of blocks"))
    assert (look.interval is None) == (len(history) < 2)
    if len(history) < 8:
        assert look.reason == "too few blocks"
    if look.reason == "narrow enough":
        assert look.interval is not None
        ratio = 1 + look.interval.estimate
        assert (1 + look.interval.high) / ratio <= 1.02 + 1e-9
    if len(history) >= 30:
        assert look.stop


def test_two_per_cent_of_a_tripled_latency_is_not_narrower_than_of_the_same() -> None:
    x = np.tile([-0.02, 0.02], 5)
    assert RULE.look(x).reason == RULE.look(x + math.log(3)).reason == "narrow enough"


def test_many_looks_cost_a_wider_interval() -> None:
    x = np.random.default_rng(3).normal(0.05, 0.03, 12)
    low, high = stats.t.interval(0.95, 11, loc=x.mean(), scale=stats.sem(x))
    interval = RULE.look(x).interval
    assert interval is not None
    assert interval.confidence == 0.95
    assert math.log1p(interval.low) < low - 0.01 * (high - low)
    assert math.log1p(interval.high) > high + 0.01 * (high - low)


@settings(deadline=None)
@given(histories, st.floats(-0.3, 0.3))
def test_the_decision_does_not_depend_on_the_tax(history: np.ndarray, tax: float) -> None:
    look, shifted = RULE.look(history), RULE.look(history + tax)
    if look.interval is None or shifted.interval is None:
        return
    reach = math.log1p(look.interval.high) - math.log1p(look.interval.estimate)
    if abs(reach - math.log1p(0.02)) > 1e-9:
        assert shifted.reason == look.reason


def test_a_quiet_machine_stops_at_once_and_a_noisy_one_at_the_end() -> None:
    quiet, noisy = np.tile([0.049, 0.051], 20), np.tile([-0.4, 0.5], 20)
    assert _run(RULE, quiet)[1] == 8
    assert _run(RULE, noisy)[1] == 30
    assert _run(RULE, noisy)[0].reason == "out of blocks"


def test_look_at_an_estimate_is_the_look_at_its_history() -> None:
    x = np.random.default_rng(0).normal(0.05, 0.03, 12)
    estimate = TEstimate(float(x.mean()), float(stats.sem(x)), 11)
    ours, theirs = RULE.look_at(estimate).interval, RULE.look(x).interval
    assert ours is not None
    assert theirs is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_one_look_needs_no_correction() -> None:
    assert confidence_per_look(10, 10, 0.9) == 0.9
    x = np.random.default_rng(1).normal(0.05, 0.03, 10)
    low, high = stats.t.interval(0.95, 9, loc=x.mean(), scale=stats.sem(x))
    interval = SequentialRule(0.01, 10, 10).look(x).interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((math.expm1(low), math.expm1(high)))


@settings(deadline=None, max_examples=3)
@given(st.integers(2, 12), st.integers(0, 20), st.sampled_from([0.8, 0.9, 0.95]))
def test_more_looks_never_ask_for_less(first: int, more: int, confidence: float) -> None:
    level = confidence_per_look(first, first + more, confidence)
    assert confidence <= level < 1
    assert level <= confidence_per_look(first, first + more + 10, confidence) + 1e-3


def test_two_looks_cover_by_numerical_integration() -> None:
    """Coverage at the worst spread, integrated over the density of s instead of simulated."""
    level = confidence_per_look(4, 5, 0.95)
    first, second = stats.t.ppf((1 + level) / 2, 3), stats.t.ppf((1 + level) / 2, 4)

    # v: the first four blocks' sum of squares; the fifth adds a standard normal's square.
    v = np.linspace(0, 60, 20_001)
    points, weights = np.polynomial.hermite_e.hermegauss(40)
    early = 2 * stats.norm.cdf(first * np.sqrt(v / 3)) - 1
    late_hits = 2 * stats.norm.cdf(second * np.sqrt((v[:, None] + points**2) / 4)) - 1
    late = late_hits @ weights / math.sqrt(2 * math.pi)
    density = stats.chi2.pdf(v, 3)
    stopped = integrate.cumulative_trapezoid(early * density, v, initial=0)
    went_on = integrate.cumulative_trapezoid(late * density, v, initial=0)
    assert np.min(stopped + went_on[-1] - went_on) == pytest.approx(0.95, abs=0.001)


@pytest.mark.parametrize("spread", [0.02, 0.04])
def test_covers_at_the_stop_where_the_plain_interval_falls_short(spread: float) -> None:
    rule = SequentialRule(half_width=0.02, min_blocks=5, max_blocks=40)
    rng = np.random.default_rng(2)
    hits = plain = 0
    for _ in range(600):
        x = rng.normal(math.log(1.05), spread, 40)
        look, n = _run(rule, x)
        assert look.interval is not None
        hits += look.interval.contains(0.05)
        low, high = stats.norm.interval(0.95, x[:n].mean(), x[:n].std(ddof=1) / math.sqrt(n))
        plain += low <= math.log(1.05) <= high
    assert 0.93 <= hits / 600 <= 0.985
    assert plain < hits


@pytest.mark.parametrize(
    "bad", [{"half_width": 0}, {"half_width": 0.1, "min_blocks": 1}, {"half_width": 0.1, "max_blocks": 5}]
)
def test_a_rule_that_cannot_work_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        SequentialRule(**bad)  # type: ignore[arg-type]


def _run(rule: SequentialRule, history: np.ndarray) -> tuple[Look, int]:
    for n in range(rule.min_blocks, len(history) + 1):
        look = rule.look(history[:n])
        if look.stop:
            return look, n
    raise AssertionError("never stopped")
