"""The plan: which trial comes when. Arms in random order inside each block, the baseline twice."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    members = [(arm, 0) for arm in arms] + [(BASELINE, 1)]
    trials: list[PlannedTrial] = []
    for block in range(blocks):
        order = np.random.default_rng([seed, block, 7]).permutation(len(members))
        for position in order:
            arm, replicate = members[position]
            trials.append(PlannedTrial(len(trials), block, arm, replicate))
    return tuple(trials)
