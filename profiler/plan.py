"""The plan: which trial comes when. Arms in random order inside each block, the baseline twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from profiler.scenario import BASELINE


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One trial to come."""

    index: int
    block: int
    arm: str
    replicate: int


def plan_trials(arms: Sequence[str], blocks: int, seed: int) -> tuple[PlannedTrial, ...]:
    """Every block runs every arm once and the baseline twice: their difference is the noise floor.

    `arms` holds the baseline once. The order is drawn anew in each block from `seed`.
    """
    return tuple(chain.from_iterable(plan_block(arms, block, seed) for block in range(blocks)))


def plan_block(arms: Sequence[str], block: int, seed: int) -> tuple[PlannedTrial, ...]:
    """One block's trials, counted on from those of the blocks before it."""
    members = [(arm, 0) for arm in arms] + [(BASELINE, 1)]
    order = np.random.default_rng([seed, block, 7]).permutation(len(members))
    first = block * len(members)
    return tuple(PlannedTrial(first + place, block, *members[which]) for place, which in enumerate(order))


def trials_per_block(arms: Sequence[str]) -> int:
    """Every arm once, and the baseline again."""
    return len(arms) + 1


@dataclass(frozen=True)
class Part:
    """What one engine runs of a dedicated run: all blocks of one arm."""

    arm: str
    trials: tuple[PlannedTrial, ...]


def plan_parts(arms: Sequence[str], blocks: int, seed: int) -> Iterator[Part]:
    """The baseline, the arms in random order, the baseline again: the drift between its two is the noise floor."""
    order = np.random.default_rng([seed, 7]).permutation([arm for arm in arms if arm != BASELINE]).tolist()
    for place, (arm, replicate) in enumerate([(BASELINE, 0), *((arm, 0) for arm in order), (BASELINE, 1)]):
        yield Part(arm, tuple(PlannedTrial(place * blocks + block, block, arm, replicate) for block in range(blocks)))
