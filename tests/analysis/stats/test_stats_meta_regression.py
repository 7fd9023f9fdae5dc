"""A line through estimates with errors of their own: what it recovers, and how often its interval holds the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.analysis.stats.meta_regression import meta_regression


def test_points_on_a_line_give_the_line() -> None:
    found = meta_regression([1, 2, 4], [3, 5, 9], [0.1, 0.2, 0.1])
    assert found.slope.estimate == pytest.approx(2)
    assert found.at_zero == pytest.approx(1)
    assert found.tau == 0 and found.slope.df == 1


def test_of_equal_errors_it_is_least_squares_with_its_own_scale() -> None:
    # Scatter far beyond the errors: Student's t on the residuals, whatever the errors were said to be.
    x, y = [0.0, 1.0, 2.0, 3.0], [0.0, 3.0, 1.0, 6.0]
    for error in (0.01, 0.1):
        found = meta_regression(x, y, [error] * 4)
        assert found.slope.estimate == pytest.approx(1.6)
        residuals = np.array(y) - 1.6 * np.array(x) - 0.1
        expected = np.sqrt(residuals @ residuals / 2 / 5)
        assert found.slope.standard_error == pytest.approx(expected, rel=1e-6)
        assert found.tau**2 + error**2 == pytest.approx(residuals @ residuals / 2, rel=1e-6)


def test_an_uncertain_point_counts_little() -> None:
    sure = meta_regression([0, 1, 2, 3], [0, 1, 2, 9], [0.1, 0.1, 0.1, 50.0])
    assert sure.slope.estimate == pytest.approx(1, abs=0.01)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 2)), min_size=3, max_size=8),
    st.floats(-3, 3),
    st.floats(-3, 3),
)
def test_a_line_added_to_the_points_is_added_to_the_fit(points: list[tuple[float, float]], a: float, b: float) -> None:
    x = np.arange(len(points), dtype=float)
    y, errors = (np.array(values) for values in zip(*points, strict=True))
    plain, moved = meta_regression(x, y, errors), meta_regression(x, y + a + b * x, errors)
    assert moved.slope.estimate == pytest.approx(plain.slope.estimate + b, abs=1e-3)
    assert moved.slope.standard_error == pytest.approx(plain.slope.standard_error, abs=1e-3)


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("k", [3, 5])
def test_its_interval_covers_what_it_says(k: int, tau: float) -> None:
    rng, x, held, runs = np.random.default_rng(5), np.log(np.geomspace(1e8, 7e10, k)), 0, 400
    for _ in range(runs):
        errors = rng.uniform(0.05, 0.3, k)
        y = 1 - 0.5 * x + tau * rng.standard_normal(k) + errors * rng.standard_normal(k)
        held += meta_regression(x, y, errors).slope.interval().contains(-0.5)
    # 95 % of 400 is 380, its standard deviation 4.4.
    assert 366 <= held <= 393


@pytest.mark.parametrize(
    ("x", "errors"), [([1, 2], [1, 1]), ([2, 2, 2], [1, 1, 1]), ([1, 2, 3], [1, 0, 1]), ([1, 2, 3], [1, np.inf, 1])]
)
def test_what_gives_no_line_is_refused(x: list[float], errors: list[float]) -> None:
    with pytest.raises(ValueError, match=r"need three points|positive"):
        meta_regression(x, [1.0] * len(x), errors)
