"""Which guard of a stack costs how much, when they share what they cost."""

import math
from collections.abc import Mapping
from itertools import combinations


class MissingCoalition(ValueError):
    """A subset of guards that was not run; the message names it."""


Values = Mapping[frozenset[str], float]


def shapley(values: Values) -> dict[str, float]:
    """Each guard's fair share of the stack's cost: its marginal cost averaged over all orders of adding it.

    Shapley 1953, the theorem's formula: exact, from all 2^n subsets. The shares add up to the whole stack's
    value less the empty one's.

    Args:
        values: the cost of each subset of guards, any unit; the empty set is the baseline (0 for a tax).

    Raises:
        MissingCoalition: a subset of the guards named has no value.
    """
    players = _players(values)
    coalitions = [frozenset(c) for size in range(len(players) + 1) for c in combinations(players, size)]
    _require(values, coalitions)
    n = len(players)
    shares = {}
    for player in players:
        without = [c for c in coalitions if player not in c]
        shares[player] = math.fsum((values[c | {player}] - values[c]) / (n * math.comb(n - 1, len(c))) for c in without)
    return shares


def interaction(values: Values) -> float:
    """The stack's cost less the sum of its guards' costs alone, each over the empty set's, in their unit.

    Zero where costs add up, negative where guards save each other work (an early block), positive where
    they contend. Only the empty set, the single guards and the whole stack are needed. It is the sum of
    the Harsanyi dividends (Harsanyi 1963) of all subsets of two guards or more.

    Raises:
        MissingCoalition: one of these has no value.
    """
    players = _players(values)
    alone = [frozenset({p}) for p in players]
    empty: frozenset[str] = frozenset()
    stack = frozenset(players)
    _require(values, [empty, *alone, stack])
    parts = math.fsum(values[a] - values[empty] for a in alone)
    return values[stack] - values[empty] - parts


def _players(values: Values) -> list[str]:
    return sorted(frozenset[str]().union(*values))


def _require(values: Values, coalitions: list[frozenset[str]]) -> None:
    for coalition in coalitions:
        if coalition not in values:
            names = ", ".join(sorted(coalition)) or "none, the baseline"
            raise MissingCoalition(f"no value for this set of guards: {names}")
