"""Sequential stopping: is every arm's tax known narrowly enough by now?

One look after each block. `SequentialRule` corrects the intervals for the looks; here the blocks become
the log ratios that it judges, and several arms are asked to be narrow enough all at once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.analysis.blocks import TOKENS_PER_S, BlockFigures, by_block
from profiler.analysis.metrics import TrialMetrics
from profiler.analysis.stats import (
    Interval,
    Look,
    NotEnoughBlocks,
    SequentialRule,
    TEstimate,
    paired_log_ratio,
    quantile_estimate,
)
from profiler.scenario import BASELINE, UntilConfig

# Of the bootstrap's draws: the same blocks give the same look, during the run and in its report.
_SEED = 1966
TOKENS = "output_tokens_per_s"
_QUANTILES = {"p50": 0.5, "p90": 0.9}


@dataclass(frozen=True)
class Looked:
    """The state after some blocks: every arm's look. `not_measured`: arms that have no such metric.

    All blocks count that the rule has seen, the warm-up's too.
    """

    config: UntilConfig
    blocks: int
    looks: Mapping[str, Look]
    not_measured: tuple[str, ...]

    @property
    def count(self) -> int:
        """How often the rule has looked: after each block from `min_blocks` on."""
        return max(0, self.blocks - self.config.min_blocks + 1)

    @property
    def narrow(self) -> bool:
        """Whether every arm's interval is as narrow as was asked for."""
        return bool(self.looks) and all(look.reason == "narrow enough" for look in self.looks.values())

    @property
    def over(self) -> bool:
        """Whether no more blocks are wanted: narrow enough, as many as were allowed, or nothing to look at."""
        idle = not self.looks and self.blocks >= self.config.min_blocks
        return self.narrow or idle or self.blocks >= self.config.max_blocks


def looked(config: UntilConfig, trials: Sequence[TrialMetrics], arms: Sequence[str]) -> Looked:
    """Judge the blocks in which all of `arms` have run, and the baseline twice. `trials` may hold more."""
    whole = _whole_blocks(trials, arms)
    figures = {arm: by_block([t for t in trials if t.arm == arm and t.block in whole]) for arm in (BASELINE, *arms)}
    rule = SequentialRule(config.half_width, config.min_blocks, config.max_blocks)
    base = list(figures[BASELINE].values())
    absent = tuple(arm for arm in arms if whole and not any(_has(config.metric, b) for b in figures[arm].values()))
    looks = {arm: _look(config.metric, rule, base, list(figures[arm].values())) for arm in arms if arm not in absent}
    return Looked(config, len(whole), looks, absent)


def reach(interval: Interval) -> float:
    """Half the width of a relative interval as the rule takes it: a factor less 1, on the log scale; inf unbounded."""
    if interval.low <= -1 or not math.isfinite(interval.high):
        return math.inf
    return math.expm1((math.log1p(interval.high) - math.log1p(interval.low)) / 2)


def _whole_blocks(trials: Sequence[TrialMetrics], arms: Sequence[str]) -> set[int]:
    seen = {(t.block, t.arm, t.replicate) for t in trials}
    wanted = [(arm, 0) for arm in (BASELINE, *arms)] + [(BASELINE, 1)]
    return {t.block for t in trials if all((t.block, arm, replicate) in seen for arm, replicate in wanted)}


def _has(metric: str, figures: BlockFigures) -> bool:
    return bool(figures.values[TOKENS_PER_S if metric == TOKENS else f"{metric.rpartition('_')[0]}_ms.mean"])


def _look(metric: str, rule: SequentialRule, base: Sequence[BlockFigures], arm: Sequence[BlockFigures]) -> Look:
    try:
        return rule.look_at(log_ratio(metric, base, arm))
    except NotEnoughBlocks:
        return Look(None, False, "too few blocks")


def log_ratio(metric: str, base: Sequence[BlockFigures], arm: Sequence[BlockFigures]) -> TEstimate:
    """The log of an arm's figure over the baseline's, from the same blocks of both.

    Raises:
        NotEnoughBlocks: fewer than two.
    """
    name, _, statistic = metric.rpartition("_")
    if statistic in _QUANTILES:
        before, after = ([block.latency_ms[f"{name}_ms"] for block in blocks] for blocks in (base, arm))
        return quantile_estimate(before, after, _QUANTILES[statistic], seed=_SEED, relative=True)
    key = TOKENS_PER_S if metric == TOKENS else f"{name}_ms.mean"
    pairs = [(b.values[key], a.values[key]) for b, a in zip(base, arm, strict=True)]
    known = [(b, a) for b, a in pairs if b and a]
    return paired_log_ratio([b for b, _ in known], [a for _, a in known])
