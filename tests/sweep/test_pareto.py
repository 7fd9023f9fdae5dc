"""The front holds what nothing beats."""

from hypothesis import given
from hypothesis import strategies as st

from profiler.analysis.stats import Interval
from profiler.sweep.pareto import front


def sure(*figures: float) -> list[Interval]:
    return [Interval(f, f - 0.1, f + 0.1, 0.95) for f in figures]


def test_a_point_that_is_better_in_something_stays() -> None:
    cheap, good, poor = sure(1, 9), sure(9, 1), sure(9, 9)
    assert [standing.beaten_by for standing in front([cheap, good, poor])] == [None, None, 0]


def test_equal_points_do_not_beat_each_other() -> None:
    assert [standing.beaten_by for standing in front([sure(1, 1), sure(1, 1)])] == [None, None]


def test_an_advantage_within_the_intervals_is_not_clear() -> None:
    near, far = front([sure(1.0, 1), sure(1.05, 1)])[1], front([sure(1.0, 1), sure(2.0, 1)])[1]
    assert (near.beaten_by, near.clear) == (0, False)
    assert (far.beaten_by, far.clear) == (0, True)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_what_is_off_the_front_is_beaten_by_something_on_it(figures: list[tuple[int, int, int]]) -> None:
    standings = front([sure(*map(float, f)) for f in figures])
    on = [f for f, standing in zip(figures, standings, strict=True) if standing.beaten_by is None]
    assert on
    for f, standing in zip(figures, standings, strict=True):
        beaten = any(all(a <= b for a, b in zip(o, f, strict=True)) and o != f for o in on)
        assert beaten == (standing.beaten_by is not None)
