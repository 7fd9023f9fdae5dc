"""Which arms an attribution adds."""

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.coalitions import with_coalitions
from profiler.errors import UserError
from profiler.scenario import BASELINE, load_scenario

SCENARIO = Path(__file__).parents[1] / "scenarios" / "quickstart.yaml"


@given(st.integers(2, 6))
def test_shapley_runs_every_subset_once_and_in_order(n: int) -> None:
    guards = tuple("abcdef"[:n])
    found = with_coalitions({BASELINE: (), "a": ("a",), "all": guards}, "shapley")
    assert sorted(found.values()) == sorted(c for size in range(n + 1) for c in combinations(guards, size))


def test_leave_one_out_runs_each_alone_and_each_left_out() -> None:
    found = with_coalitions({BASELINE: (), "all": ("a", "b", "c", "d")}, "leave-one-out")
    assert len(found) == 2 + 4 + 4
    assert found["b+c+d"] == ("b", "c", "d")


def test_the_names_that_a_user_gave_stay_theirs() -> None:
    found = with_coalitions({BASELINE: (), "a": ("a", "b")}, "shapley")
    assert found["a"] == ("a", "b")
    assert found["just a"] == ("a",)


def test_too_many_guards_are_refused_with_what_it_would_take() -> None:
    with pytest.raises(ValueError, match="128 arms in every block"):
        with_coalitions({BASELINE: (), "all": tuple("abcdefg")}, "shapley")


def test_so_they_are_on_the_command_line() -> None:
    scenario = load_scenario(SCENARIO)
    many = {f"g{i}": scenario.guards["input"] for i in range(7)}
    wide = scenario.model_copy(update={"guards": many, "arms": {}, "attribution": "shapley"})
    with pytest.raises(UserError, match=r"--guards: .*leave-one-out"):
        wide.only(list(many))
