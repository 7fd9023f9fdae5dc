"""Holm's procedure, against the closed testing that it is a shortcut for."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.analysis.stats import holm

families = st.lists(st.floats(0, 1), max_size=7)


def test_a_worked_example() -> None:
    results = holm([0.01, 0.04, 0.03, 0.005])
    assert [r.adjusted for r in results] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [r.rejected for r in results] == [True, False, False, True]
    assert [r.p_value for r in results] == [0.01, 0.04, 0.03, 0.005]


@settings(deadline=None)
@given(families)
def test_is_bonferroni_closed_over_all_subsets(p: list[float]) -> None:
    for i, result in enumerate(holm(p)):
        others = [j for j in range(len(p)) if j != i]
        subsets = [(i, *rest) for size in range(len(p)) for rest in combinations(others, size)]
        closed = max(min(1.0, len(s) * min(p[j] for j in s)) for s in subsets)
        assert result.adjusted == pytest.approx(closed)


@settings(deadline=None)
@given(families, st.floats(0.001, 0.5))
def test_adjusted_is_never_under_the_p_value_nor_over_bonferroni(p: list[float], alpha: float) -> None:
    for result in holm(p, alpha):
        assert result.p_value <= result.adjusted <= min(1.0, len(p) * result.p_value) + 1e-12
        assert result.rejected == (result.adjusted <= alpha)


def test_one_arm_needs_no_correction_and_none_gives_none() -> None:
    assert holm([0.04])[0].adjusted == 0.04
    assert holm([]) == ()


@pytest.mark.parametrize("p", [[1.1], [-0.1], [float("nan")]])
def test_what_is_no_p_value_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError):
        holm(p)
