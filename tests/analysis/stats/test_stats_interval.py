"""An interval says what it contains, and refuses to be none."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.analysis.stats import Interval, TEstimate

numbers = st.floats(-1e6, 1e6)


@settings(deadline=None)
@given(numbers, st.floats(0, 1e6), numbers)
def test_contains_is_within_half_width_of_the_middle(middle: float, reach: float, x: float) -> None:
    interval = Interval(middle, middle - reach, middle + reach, 0.95)
    assert interval.half_width == pytest.approx(reach, abs=1e-9)
    if abs(abs(x - middle) - reach) > 1e-6:
        assert interval.contains(x) == (abs(x - middle) < reach)
    assert interval.excludes_zero == (not interval.contains(0.0))


def test_an_unbounded_interval_has_infinite_half_width_and_contains_everything_above() -> None:
    interval = Interval(5.0, 3.0, math.inf, 0.95)
    assert interval.half_width == math.inf
    assert interval.contains(1e300)
    assert interval.excludes_zero


@pytest.mark.parametrize(
    ("estimate", "low", "high", "confidence"),
    [(math.nan, 0, 1, 0.95), (0, math.nan, 1, 0.95), (0, 2, 1, 0.95), (0, -1, 1, 1.0), (0, -1, 1, 95)],
)
def test_no_interval_is_refused(estimate: float, low: float, high: float, confidence: float) -> None:
    with pytest.raises(ValueError):
        Interval(estimate, low, high, confidence)


@settings(deadline=None)
@given(st.floats(-2, 2), st.floats(1e-3, 1), st.integers(1, 50), st.floats(0.5, 0.999))
def test_p_value_and_interval_agree_on_significance(est: float, se: float, df: int, level: float) -> None:
    estimate = TEstimate(est, se, df)
    if abs(estimate.p_value - (1 - level)) > 1e-9:
        assert estimate.interval(level).excludes_zero == (estimate.p_value < 1 - level)
        assert estimate.relative_interval(level).excludes_zero == (estimate.p_value < 1 - level)
