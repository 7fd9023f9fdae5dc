"""Which subsets of a stack's guards must run for its cost to be attributed to them."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

Attribution = Literal["none", "leave-one-out", "shapley"]
MAX_SHAPLEY = 6
Stacks = Mapping[str, tuple[str, ...]]


def with_coalitions(stacks: Stacks, attribution: Attribution) -> dict[str, tuple[str, ...]]:
    """The arms, and those that `attribution` needs beside them: names like `input+output`, guards in order.

    A subset that is an arm already, under whatever name, is not added again.

    Raises:
        ValueError: Shapley shares for a stack of more than `MAX_SHAPLEY` guards.
    """
    found = dict(stacks)
    for guards in stacks.values():
        for subset in subsets(guards, attribution):
            if subset not in found.values():
                name = "+".join(subset)
                found[f"just {name}" if name in found else name] = subset
    return found


def subsets(guards: Sequence[str], attribution: Attribution) -> list[tuple[str, ...]]:
    """The proper subsets of one stack that must run, smallest first.

    Raises:
        ValueError: as `with_coalitions`.
    """
    n = len(guards)
    if attribution == "none" or n < 2:
        return []
    if attribution == "leave-one-out":
        sizes = sorted({1, n - 1})
    elif n <= MAX_SHAPLEY:
        sizes = list(range(1, n))
    else:
        raise ValueError(
            f"attribution: shapley of {n} guards needs {2**n} arms in every block; it takes at most {MAX_SHAPLEY} "
            "guards: use leave-one-out"
        )
    return [subset for size in sizes for subset in combinations(guards, size)]
