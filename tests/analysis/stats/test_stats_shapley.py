"""Shapley's shares: his axioms, all orders written out, and games with known answers."""

from itertools import chain, combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.analysis.stats import MissingCoalition, interaction, shapley

Values = dict[frozenset[str], float]


def _subsets(names: str) -> list[frozenset[str]]:
    return [frozenset(c) for c in chain(*(combinations(names, k) for k in range(len(names) + 1)))]


def _stack(values: Values) -> frozenset[str]:
    return frozenset[str]().union(*values)


games = st.integers(1, 4).flatmap(
    lambda n: st.fixed_dictionaries({c: st.floats(-100, 100) for c in _subsets("abcd"[:n])})
)


@settings(deadline=None)
@given(games)
def test_is_the_mean_marginal_cost_over_all_orders(values: Values) -> None:
    players = sorted(_stack(values))
    orders = list(permutations(players))
    for player, share in shapley(values).items():
        before = [frozenset(order[: order.index(player)]) for order in orders]
        marginal = [values[b | {player}] - values[b] for b in before]
        assert share == pytest.approx(sum(marginal) / len(orders), abs=1e-9)


@settings(deadline=None)
@given(games)
def test_shares_add_up_to_the_stack(values: Values) -> None:
    whole = values[_stack(values)] - values[frozenset()]
    assert sum(shapley(values).values()) == pytest.approx(whole, abs=1e-9)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.floats(-10, 10), min_size=1))
def test_costs_that_add_up_are_shared_as_they_are_and_do_not_interact(cost: dict[str, float]) -> None:
    values = {c: sum(cost[p] for p in c) + 3.0 for c in _subsets("".join(cost))}
    assert shapley(values) == pytest.approx(cost, abs=1e-9)
    assert interaction(values) == pytest.approx(0, abs=1e-9)


def test_the_glove_game() -> None:
    """Two hold a left glove, one the right: a pair is worth 1."""
    values = {c: float("c" in c and len(c) > 1) for c in _subsets("abc")}
    assert shapley(values) == pytest.approx({"a": 1 / 6, "b": 1 / 6, "c": 4 / 6})


def test_the_airport_game() -> None:
    """Littlechild & Owen 1973: a runway costs what its largest aircraft needs."""
    needs = {"a": 6.0, "b": 12.0, "c": 42.0}
    values = {c: max((needs[p] for p in c), default=0.0) for c in _subsets("abc")}
    assert shapley(values) == pytest.approx({"a": 2.0, "b": 5.0, "c": 35.0})
    assert interaction(values) == pytest.approx(42 - 60)


def test_interaction_needs_only_the_parts_and_the_whole() -> None:
    a, b = frozenset("a"), frozenset("b")
    assert interaction({frozenset(): 0.0, a: 3.0, b: 4.0, a | b: 9.0}) == pytest.approx(2.0)


def test_a_missing_trial_is_named() -> None:
    values = {c: 1.0 for c in _subsets("abc") if c != frozenset("ac")}
    with pytest.raises(MissingCoalition, match="a, c"):
        shapley(values)
    with pytest.raises(MissingCoalition, match="baseline"):
        interaction({frozenset("a"): 1.0})
