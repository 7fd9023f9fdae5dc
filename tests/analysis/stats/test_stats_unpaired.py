"""Two independent runs: the interval of their difference covers, and agrees with scipy's Welch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from profiler.analysis.stats import (
    Interval,
    NotEnoughBlocks,
    independent_difference,
    log_mean_of_blocks,
    mean_of_blocks,
    quantile,
    quantile_of_blocks,
    welch_difference,
)

BLOCKS = st.lists(st.floats(1.0, 1000.0), min_size=2, max_size=12)


@given(BLOCKS, BLOCKS)
def test_it_is_welchs_t(first: list[float], second: list[float]) -> None:
    if np.ptp(first) < 1e-3 or np.ptp(second) < 1e-3:
        return
    found = welch_difference(mean_of_blocks(first), mean_of_blocks(second))
    expected = stats.ttest_ind(second, first, equal_var=False)
    assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-9)
    assert found.df == pytest.approx(float(expected.df), rel=1e-6)


def test_equal_runs_without_spread_differ_by_nothing() -> None:
    found = welch_difference(mean_of_blocks([2.0, 2.0]), mean_of_blocks([2.0, 2.0]))
    assert (found.estimate, found.standard_error, found.p_value) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_the_interval_of_a_quantiles_ratio_covers(q: float) -> None:
    random, covered, runs = np.random.default_rng(8), 0, 200
    for run in range(runs):
        pairs = []
        for factor, blocks in ((1.0, 8), (1.1, 10)):
            weather = np.exp(0.05 * random.standard_normal(blocks))
            drawn = [factor * w * np.exp(0.3 * random.standard_normal(40)) for w in weather]
            pairs.append(quantile_of_blocks(drawn, q, resamples=300, seed=run).log_ratio)
        assert pairs[0] is not None
        assert pairs[1] is not None
        covered += welch_difference(*pairs).relative_interval().contains(0.1)
    assert 0.90 <= covered / runs <= 0.99


@given(
    st.lists(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=6), min_size=2, max_size=5),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_the_estimate_is_the_pools_quantile(blocks: list[list[float]], q: float) -> None:
    found = quantile_of_blocks(blocks, q, resamples=10, seed=1).absolute
    assert found.estimate == pytest.approx(quantile([x for block in blocks for x in block], q))


def test_square_and_add_is_newcombes() -> None:
    # Newcombe 1998, table II, example (a): 56/70 less 48/80 is 0.2, 0.0524 to 0.3339 by method 10.
    p1, p2 = Interval(0.8, 0.6918, 0.8772, 0.95), Interval(0.6, 0.4904, 0.7005, 0.95)
    found = independent_difference(p2, p1)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-4)


def test_one_block_says_nothing() -> None:
    with pytest.raises(NotEnoughBlocks):
        mean_of_blocks([1.0])
    with pytest.raises(NotEnoughBlocks):
        quantile_of_blocks([[1.0], []], 0.5, seed=1)
    with pytest.raises(ValueError, match="positive"):
        log_mean_of_blocks([1.0, 0.0])
