"""Quantiles and their distribution-free intervals, against scipy and against counting."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped,unused-ignore]
from scipy.stats.mstats import mquantiles  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats import P99_MIN_REQUESTS, min_n_for_quantile, quantile, quantile_interval

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
levels = st.floats(0.5, 0.999)
inner = st.floats(0.01, 0.99)


@settings(deadline=None)
@given(values, inner)
def test_quantile_is_scipys_type_7(x: list[float], q: float) -> None:
    expected = mquantiles(x, [q], alphap=1, betap=1)[0]
    assert quantile(x, q) == pytest.approx(float(expected), rel=1e-9, abs=1e-6)


def test_quantile_of_a_known_sample() -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.9) == pytest.approx(3.7)


@settings(deadline=None)
@given(values, inner, levels, st.randoms())
def test_interval_holds_the_estimate_and_knows_no_order(x: list[float], q: float, level: float, r) -> None:  # type: ignore[no-untyped-def]
    interval = quantile_interval(x, q, level)
    assert interval.low <= interval.estimate <= interval.high
    shuffled = list(x)
    r.shuffle(shuffled)
    assert quantile_interval(shuffled, q, level) == interval


@settings(deadline=None)
@given(st.integers(1, 2000), inner, levels)
def test_interval_leaves_at_most_half_of_the_error_in_each_tail(n: int, q: float, level: float) -> None:
    interval = quantile_interval(np.arange(1, n + 1), q, level)
    tail = (1 - level) / 2 + 1e-9
    if interval.low > -math.inf:
        assert stats.binom.cdf(interval.low - 1, n, q) <= tail
        # An end moved out to the estimate, of very few values, may leave even less.
        assert stats.binom.cdf(interval.low, n, q) > tail - 2e-9 or interval.low == interval.estimate
    if interval.high < math.inf:
        assert stats.binom.sf(interval.high - 1, n, q) <= tail
        assert stats.binom.sf(interval.high - 2, n, q) > tail - 2e-9 or interval.high == interval.estimate


@pytest.mark.parametrize(("n", "q"), [(20, 0.5), (101, 0.5), (400, 0.9), (1000, 0.99), (459, 0.99)])
def test_interval_agrees_with_scipys_quantile_test(n: int, q: float) -> None:
    x = np.random.default_rng(n).lognormal(size=n)
    theirs = stats.quantile_test(x, p=q).confidence_interval(0.95)
    ours = quantile_interval(x, q)
    assert (ours.low, ours.high) == (theirs.low, theirs.high)


def test_a_p99_of_few_requests_has_no_upper_bound() -> None:
    x = np.arange(300.0)
    assert quantile_interval(x, 0.99).high == math.inf
    assert quantile_interval(x, 0.01).low == -math.inf
    assert quantile_interval(np.arange(368.0), 0.99).high == 367.0


def test_fewest_requests_for_a_bound_are_wilks_numbers() -> None:
    assert min_n_for_quantile(0.99, 0.95, sides=1) == 299
    assert min_n_for_quantile(0.99, 0.95) == 368
    assert min_n_for_quantile(0.95, 0.95, sides=1) == 59
    assert P99_MIN_REQUESTS == 459


@settings(deadline=None)
@given(inner, levels)
def test_fewest_requests_are_just_enough(q: float, level: float) -> None:
    n = min_n_for_quantile(q, level)
    tail = (1 - level) / 2
    assert max(q, 1 - q) ** n <= tail
    assert n == 1 or max(q, 1 - q) ** (n - 1) > tail
    if abs(max(q, 1 - q) ** n - tail) > 1e-9:
        assert math.isfinite(quantile_interval(np.arange(n), q, level).half_width)


@pytest.mark.parametrize("x", [[], [1.0, math.nan], [[1.0, 2.0]]])
def test_what_has_no_quantile_is_refused(x: list[float]) -> None:
    with pytest.raises(ValueError):
        quantile(x, 0.5)


@pytest.mark.parametrize("q", [0.0, 1.0, 99.0])
def test_interval_wants_an_inner_quantile(q: float) -> None:
    with pytest.raises(ValueError):
        quantile_interval([1.0, 2.0], q)
