"""An arm against the baseline, block by block: how much, how sure, and what may be claimed.

Means and rates: t on the blocks' log ratios (relative) and differences (absolute). Quantiles: cluster bootstrap
over blocks of the difference of quantiles. Several arms: Holm for each metric. A claim must beat the A/A noise
floor, the baseline's first replicate against its second.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.analysis.block_resources import BY_ROLE
from profiler.analysis.blocks import PREEMPTIONS, TOKENS_PER_S, BlockFigures
from profiler.analysis.metrics import LATENCIES
from profiler.analysis.stats import (
    P99_MIN_REQUESTS,
    Claim,
    Interval,
    NotEnoughBlocks,
    TEstimate,
    holm,
    minimum_detectable_effect,
    noise_floor,
    paired_difference,
    paired_log_ratio,
    verdict,
)
from profiler.analysis.stats.bootstrap import quantile_estimates
from profiler.analysis.stats.distributions import t_quantile

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
MORE_IS_BETTER = (TOKENS_PER_S,)
"""Metrics of which less is the tax."""
_ALPHA = 0.05
_POWER = 0.8
# Of the bootstrap's draws: the same run gives the same report.
_SEED = 1993


@dataclass(frozen=True)
class Tax:
    """What an arm costs over the baseline: absolute in the metric's unit, relative as a ratio, 95 % intervals.

    `relative` is None where the baseline is not positive. `p_holm` is adjusted for the number of arms and
    `verdict` follows it. `mde`, `mde_relative`: the smallest true difference that the run, as it was, finds
    with 80 % power.
    """

    absolute: float
    relative: float | None
    ci95: tuple[float, float]
    relative_ci95: tuple[float, float] | None
    p_value: float
    p_holm: float
    verdict: Claim
    mde: float
    mde_relative: float | None

    @property
    def claimed(self) -> bool:
        """Whether it is called a tax or a saving."""
        return self.verdict in ("tax", "saving")


@dataclass(frozen=True)
class Estimates:
    """One metric of one arm against the baseline on both scales; `log_ratio` None where a figure is not positive."""

    absolute: TEstimate
    log_ratio: TEstimate | None

    @property
    def p_value(self) -> float:
        """On the relative scale where there is one."""
        return (self.log_ratio or self.absolute).p_value


def estimate(baseline: Mapping[int, BlockFigures], arm: Mapping[int, BlockFigures]) -> dict[str, Estimates]:
    """Every metric that both have in two blocks or more; p99 only from 459 requests up in both."""
    shared = sorted(baseline.keys() & arm.keys())
    base, mine = [baseline[b] for b in shared], [arm[b] for b in shared]
    means = dict.fromkeys(name for block in (*base, *mine) for name in block.values)
    found = {name: _of_values(name, base, mine) for name in means}
    for metric in LATENCIES:
        found |= {f"{metric}.{name}": _of_quantile(metric, q, base, mine) for name, q in QUANTILES.items()}
    return {name: one for name, one in found.items() if one is not None}


def estimate_one(name: str, baseline: Mapping[int, BlockFigures], arm: Mapping[int, BlockFigures]) -> Estimates | None:
    """The same of one metric, such as "ttft_ms.p50"; None where `estimate` has none."""
    shared = sorted(baseline.keys() & arm.keys())
    base, mine = [baseline[b] for b in shared], [arm[b] for b in shared]
    metric, _, statistic = name.partition(".")
    if statistic in QUANTILES:
        return _of_quantile(metric, QUANTILES[statistic], base, mine)
    return _of_values(name, base, mine)


def _of_values(name: str, baseline: Sequence[BlockFigures], arm: Sequence[BlockFigures]) -> Estimates | None:
    pairs = [(b.values.get(name), a.values.get(name)) for b, a in zip(baseline, arm, strict=True)]
    known = [(b, a) for b, a in pairs if b is not None and a is not None]
    if len(known) < 2:
        return None
    before, after = [b for b, _ in known], [a for _, a in known]
    positive = min(before) > 0 and min(after) > 0
    return Estimates(paired_difference(before, after), paired_log_ratio(before, after) if positive else None)


def _of_quantile(
    metric: str, q: float, baseline: Sequence[BlockFigures], arm: Sequence[BlockFigures]
) -> Estimates | None:
    before, after = ([block.latency_ms[metric] for block in blocks] for blocks in (baseline, arm))
    if q > 0.95 and min(sum(map(len, before)), sum(map(len, after))) < P99_MIN_REQUESTS:
        return None
    try:
        pair = quantile_estimates(before, after, q, seed=_SEED)
    except NotEnoughBlocks:
        return None
    return Estimates(pair.absolute, pair.log_ratio)


def taxes(arms: Mapping[str, Mapping[str, Estimates]], floor: Mapping[str, Estimates]) -> dict[str, dict[str, Tax]]:
    """The taxes of all arms, by arm and metric. `floor` is one baseline replicate against the other."""
    found: dict[str, dict[str, Tax]] = {arm: {} for arm in arms}
    for name in dict.fromkeys(name for estimates in arms.values() for name in estimates):
        family = [arm for arm in arms if name in arms[arm]]
        if name.startswith((BY_ROLE, PREEMPTIONS)) and all(_nothing(arms[arm][name]) for arm in family):
            continue  # a role that this run does not have, a pool that held out
        adjusted = holm([arms[arm][name].p_value for arm in family], _ALPHA)
        for arm, result in zip(family, adjusted, strict=True):
            found[arm][name] = _tax(name, arms[arm][name], floor.get(name), result.adjusted, len(family))
    return found


def _nothing(found: Estimates) -> bool:
    return found.absolute.estimate == found.absolute.standard_error == 0


def _tax(name: str, mine: Estimates, floor: Estimates | None, p_holm: float, arms: int) -> Tax:
    absolute, log_ratio = mine.absolute.interval(), mine.log_ratio
    relative = None if log_ratio is None else log_ratio.relative_interval()
    return Tax(
        absolute=absolute.estimate,
        relative=None if relative is None else relative.estimate,
        ci95=(absolute.low, absolute.high),
        relative_ci95=None if relative is None else (relative.low, relative.high),
        p_value=mine.p_value,
        p_holm=p_holm,
        verdict=_claim(name, mine, floor, p_holm),
        mde=_mde(mine.absolute, None if floor is None else floor.absolute, arms),
        mde_relative=None
        if log_ratio is None
        else math.expm1(min(_mde(log_ratio, None if floor is None else floor.log_ratio, arms), 700.0)),
    )


def _claim(name: str, mine: Estimates, floor: Estimates | None, p_holm: float) -> Claim:
    """The verdict on the relative scale where tax and floor both have one; logarithms make it symmetric."""
    if p_holm > _ALPHA:
        return "no difference found"
    aa: TEstimate | None
    if mine.log_ratio is not None and (floor is None or floor.log_ratio is not None):
        tax, aa = mine.log_ratio, None if floor is None else floor.log_ratio
    else:
        tax, aa = mine.absolute, None if floor is None else floor.absolute
    # Without an A/A nobody knows what equal arms look like here: nothing is claimed.
    limit = math.inf if aa is None else noise_floor(aa.interval())
    interval = tax.interval()
    return verdict(_loss(interval) if name in MORE_IS_BETTER else interval, limit)


def _loss(interval: Interval) -> Interval:
    return Interval(-interval.estimate, -interval.high, -interval.low, interval.confidence)


def _mde(found: TEstimate, aa: TEstimate | None, arms: int) -> float:
    """What is found with 80 % power by the verdict as it is: the strictest of Holm's steps, and the A/A floor."""
    alone = minimum_detectable_effect(found.standard_error, found.df, _ALPHA / arms, _POWER)
    if aa is None:
        return alone
    return max(alone, noise_floor(aa.interval()) + t_quantile(_POWER, found.df) * found.standard_error)
