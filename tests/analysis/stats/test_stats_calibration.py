"""Coverage and error over repeats, against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats import Interval, coverage, proportion, root_mean_square_error

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(deadline=None)
@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_proportion_is_scipys_exact_interval(count: tuple[int, int], level: float) -> None:
    hits, n = count
    theirs = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    ours = proportion(hits, n, level)
    assert ours.low <= ours.estimate <= ours.high
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_coverage_counts_the_intervals_that_hold_the_truth() -> None:
    intervals = [Interval(0, -1, 1, 0.95)] * 3 + [Interval(5, 4, 6, 0.95)]
    assert coverage(intervals, 0.5).estimate == 0.75
    with pytest.raises(ValueError):
        coverage([], 0.5)


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.floats(-1e3, 1e3))
def test_error_is_bias_and_spread_together(x: list[float], truth: float) -> None:
    bias, variance = math.fsum(x) / len(x) - truth, float(np.var(x))
    assert root_mean_square_error(x, truth) == pytest.approx(math.hypot(bias, math.sqrt(variance)), abs=1e-6)


def test_no_estimates_have_no_error() -> None:
    with pytest.raises(ValueError):
        root_mean_square_error([], 0.0)
