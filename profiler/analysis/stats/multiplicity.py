"""Several arms against one baseline: p-values that say so."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HolmResult:
    """One hypothesis of a family: its own p-value, the adjusted one, and whether it is rejected."""

    p_value: float
    adjusted: float
    rejected: bool


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[HolmResult, ...]:
    """Holm's step-down: no true hypothesis of the family is rejected with probability 1 - alpha or more.

    Holm 1979; adjusted p-values as in Wright 1992. Any dependence is allowed.

    Args:
        p_values: m of them, one an arm; the results come in the same order.
        alpha: familywise error rate.

    Raises:
        ValueError: a p-value outside 0 to 1, or alpha not strictly between 0 and 1.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values must be between 0 and 1: {list(p_values)}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be strictly between 0 and 1, not {alpha}")
    adjusted, so_far, m = [1.0] * len(p_values), 0.0, len(p_values)
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        so_far = max(so_far, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = so_far
    return tuple(HolmResult(p, a, a <= alpha) for p, a in zip(p_values, adjusted, strict=True))
