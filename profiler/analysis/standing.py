"""How well each arm's tax is known while a run is under way: what is shown then, and what `until` will ask for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from profiler.analysis.blocks import by_block
from profiler.analysis.metrics import TrialMetrics
from profiler.analysis.stats import Interval, NotEnoughBlocks
from profiler.analysis.until import log_ratio, looked, reach
from profiler.scenario import BASELINE, UntilConfig

METRIC = "e2el_mean"
"""What stands where no `until` names a metric."""


@dataclass(frozen=True)
class Standing:
    """One arm's tax after `blocks`. `relative`: 0.05 is +5 %; `half_width` as `until` takes it, a factor less 1.

    `blocks_left` is a guess: the width shrinks with the root of the number of blocks. None without a goal.
    """

    relative: Interval
    half_width: float
    blocks: int
    blocks_left: int | None = None


def standing(until: UntilConfig | None, trials: Sequence[TrialMetrics], arms: Sequence[str]) -> dict[str, Standing]:
    """By arm, where there are two blocks or more; `arms` without the baseline.

    With `until` it is the rule's own interval, which allows for the looks; otherwise Student's t, 95 %, on `METRIC`.
    """
    if until is None:
        alone = {arm: _alone(trials, arm) for arm in arms}
        return {arm: one for arm, one in alone.items() if one is not None}
    found = looked(until, trials, arms)
    looks = {arm: look.interval for arm, look in found.looks.items() if look.interval is not None}
    return {arm: _with_goal(interval, found.blocks, until) for arm, interval in looks.items()}


def _alone(trials: Sequence[TrialMetrics], arm: str) -> Standing | None:
    base, mine = (by_block([t for t in trials if t.arm == name]) for name in (BASELINE, arm))
    shared = sorted(base.keys() & mine.keys())
    try:
        found = log_ratio(METRIC, [base[b] for b in shared], [mine[b] for b in shared]).relative_interval()
    except NotEnoughBlocks:
        return None
    return Standing(found, reach(found), len(shared))


def _with_goal(interval: Interval, blocks: int, until: UntilConfig) -> Standing:
    width = reach(interval)
    if not math.isfinite(width):
        return Standing(interval, width, blocks)
    wanted = blocks * (math.log1p(width) / math.log1p(until.half_width)) ** 2
    wanted = min(max(wanted, until.min_blocks), until.max_blocks)
    return Standing(interval, width, blocks, max(0, math.ceil(wanted - 1e-9) - blocks))
