"""Changes of level: found where they are, and seldom where there is none."""

import numpy as np
import pytest

from profiler.analysis.stats.change_points import ALPHA, LEAST_RUNS, LEAST_SEGMENT, change_points


def series(rng: np.random.Generator, n: int, between: float, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of runs that differ by `between` beyond their own errors, which are guesses with 5 df."""
    own = 0.02 * np.exp(0.5 * rng.normal(size=n))
    x = rng.normal(size=n) * np.hypot(own, between)
    x[n // 2 :] += shift
    return x, own * np.sqrt(rng.chisquare(5, size=n) / 5)


@pytest.mark.parametrize(("n", "between"), [(10, 0.0), (14, 0.03), (30, 0.0), (30, 0.1)])
def test_a_series_of_one_level_seldom_gives_a_false_alarm(n: int, between: float) -> None:
    rng, repeats = np.random.default_rng(n), 400
    alarms = sum(bool(change_points(*series(rng, n, between))) for _ in range(repeats))
    # Three standard errors of a share of 1 %.
    assert alarms / repeats <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / repeats)


def test_a_change_is_found_where_it_is_and_how_great_it_is() -> None:
    rng, found = np.random.default_rng(1), []
    for _ in range(40):
        found.append(change_points(*series(rng, 24, 0.02, shift=0.15)))
    assert sum(len(one) == 1 and abs(one[0].index - 12) <= 1 for one in found) >= 34
    changes = [one[0] for one in found if len(one) == 1]
    assert np.mean([abs(c.change - 0.15) <= 2 * c.standard_error for c in changes]) >= 0.85
    assert all(c.p_value <= ALPHA for c in changes)


def test_two_changes_are_two() -> None:
    rng = np.random.default_rng(2)
    x = np.repeat([0.0, 0.3, 0.1], 8) + 0.02 * rng.normal(size=24)
    assert [c.index for c in change_points(x, np.full(24, 0.02))] == [8, 16]


def test_one_odd_run_is_no_change() -> None:
    x = np.zeros(20)
    x[13] = 5.0
    assert change_points(x + 0.001 * np.arange(20) % 0.003, np.full(20, 0.01)) == ()


def test_runs_that_hardly_know_their_own_figure_weigh_little() -> None:
    rng = np.random.default_rng(3)
    x, errors = 0.01 * rng.normal(size=24), np.full(24, 0.01)
    x[20:] += np.array([2.0, 1.0, 3.0, -1.0])
    errors[20:] = 2.0
    assert change_points(x, errors) == ()
    # Nor do they hide a change of those that know theirs well.
    x[10:20] += 0.1
    assert [c.index for c in change_points(x, errors)] == [10]


def test_both_parts_have_three_runs() -> None:
    x = np.r_[np.zeros(58), 5.0, 5.0] + 0.001 * np.random.default_rng(4).normal(size=60)
    assert [c.index for c in change_points(x, np.full(60, 0.001))] == [60 - LEAST_SEGMENT]
    assert LEAST_SEGMENT == 3


def test_few_runs_and_runs_without_noise() -> None:
    step = np.r_[np.zeros(5), np.ones(LEAST_RUNS - 6)]
    assert change_points(step, np.full(len(step), 0.01)) == ()
    assert change_points(np.zeros(12), np.zeros(12)) == ()
    (found,) = change_points(np.r_[np.zeros(6), np.ones(6)], np.zeros(12))
    assert (found.index, found.change) == (6, 1.0)
    assert found.relative_interval().estimate == pytest.approx(np.e - 1)
    assert LEAST_RUNS >= 2 * LEAST_SEGMENT


@pytest.mark.parametrize(("x", "errors"), [([1.0, np.nan], [0.1, 0.1]), ([1.0], [0.1, 0.1]), ([1.0], [-0.1])])
def test_what_is_no_series_is_refused(x: list[float], errors: list[float]) -> None:
    with pytest.raises(ValueError, match=r"finite|standard error"):
        change_points(x, errors)
