"""Which points are not beaten: the Pareto front of what is paid and what is bought."""

from collections.abc import Sequence
from dataclasses import dataclass

from profiler.analysis.stats import Interval


@dataclass(frozen=True)
class Standing:
    """`beaten_by`: a point that is at least as good in everything and better in something, None on the front.

    `clear`: the better one's interval lies wholly on the better side in what it is better at.
    """

    beaten_by: int | None = None
    clear: bool = False


def front(points: Sequence[Sequence[Interval]]) -> list[Standing]:
    """Each point's standing; every figure is better when smaller, compared by its estimate.

    Of several points that beat one, the clear one is named.
    """
    return [_standing(mine, points) for mine in points]


def _standing(mine: Sequence[Interval], points: Sequence[Sequence[Interval]]) -> Standing:
    beating = [index for index, other in enumerate(points) if _beats(other, mine)]
    clear = [index for index in beating if _clearly(points[index], mine)]
    named = next(iter(clear or beating), None)
    return Standing(named, bool(clear))


def _beats(other: Sequence[Interval], mine: Sequence[Interval]) -> bool:
    pairs = list(zip(other, mine, strict=True))
    return all(o.estimate <= m.estimate for o, m in pairs) and any(o.estimate < m.estimate for o, m in pairs)


def _clearly(other: Sequence[Interval], mine: Sequence[Interval]) -> bool:
    return any(o.high < m.low for o, m in zip(other, mine, strict=True))
