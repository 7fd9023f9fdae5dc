"""Which guard of a stack costs what: alone, left out of the stack, and its fair share of the stack's cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.blocks import TOKENS_PER_S, by_block
from profiler.analysis.metrics import Array, TrialMetrics
from profiler.analysis.stats import Interval, interaction, shapley
from profiler.analysis.stats.paired import mean_difference
from profiler.coalitions import MAX_SHAPLEY, subsets
from profiler.scenario import BASELINE

ATTRIBUTED = {"e2el_ms.mean": "ms", "ttft_ms.mean": "ms", TOKENS_PER_S: "tok/s"}
"""The metrics that are attributed, and their units."""
_MIN_BLOCKS = 2
# The costs of a set of guards by block, each shape (blocks,).
_Costs = Mapping[frozenset[str], Array]


@dataclass(frozen=True)
class GuardCost:
    """What one guard of a stack costs over the baseline, in the metric's unit; None where not measured.

    `alone`: its own arm. `left_out`: the stack less the stack without it. `share`: its Shapley share.
    """

    guard: str
    alone: Interval | None
    left_out: Interval | None
    share: Interval | None


@dataclass(frozen=True)
class MetricCosts:
    """One metric's tax of a stack, taken apart: 95 % t intervals over `blocks` blocks, in `unit`.

    `interaction`: the stack less the sum of its guards alone. `not_measured`: what is None, and why.
    """

    metric: str
    unit: str
    blocks: int
    stack: Interval | None
    guards: tuple[GuardCost, ...]
    interaction: Interval | None
    not_measured: Mapping[str, str]


@dataclass(frozen=True)
class Attributed:
    """The tax of one stack, taken apart by guard, for each metric of `ATTRIBUTED`."""

    arm: str
    guards: tuple[str, ...]
    metrics: tuple[MetricCosts, ...]


def attributions(
    trials: Sequence[TrialMetrics], stacks: Mapping[str, tuple[str, ...]], attribution: str
) -> tuple[Attributed, ...]:
    """Every largest stack of two or more different guards, taken apart.

    A stack whose guards are all in another arm is a part of that one and gets no attribution of its own.
    Costs are paired by block: all figures of a metric use the blocks that the baseline and every arm
    involved have. The shares are linear in the costs, so they are worked out in each block, and their
    interval is a t interval over blocks (Student 1908). Sources: `profiler.analysis.stats.shapley`.

    Args:
        trials: of every arm, in any order.
        stacks: guards in order, by arm, with the arms that `attribution` added.
        attribution: "none", "leave-one-out" or "shapley"; shares are only worked out for the last.
    """
    figures = {arm: by_block([t for t in trials if t.arm == arm]) for arm in stacks}
    values = {
        metric: {arm: {b: v for b, one in blocks.items() if (v := one.values[metric]) is not None}
                 for arm, blocks in figures.items()}
        for metric in ATTRIBUTED
    }  # fmt: skip
    return tuple(
        Attributed(
            arm,
            stacks[arm],
            tuple(_metric(metric, arm, stacks, values[metric], attribution == "shapley") for metric in ATTRIBUTED),
        )
        for arm in _largest(stacks)
    )


def _largest(stacks: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    whole = {arm: set(guards) for arm, guards in stacks.items() if len(guards) == len(set(guards)) > 1}
    return (arm for arm, mine in whole.items() if not any(mine < other for other in whole.values()))


def _metric(
    metric: str,
    arm: str,
    stacks: Mapping[str, tuple[str, ...]],
    values: Mapping[str, Mapping[int, float]],
    with_shares: bool,
) -> MetricCosts:
    guards = stacks[arm]
    wanted = [*_coalitions(guards, with_shares), guards]
    costs = _costs({**{frozenset(c): _arm_of(c, stacks) for c in wanted}, frozenset(guards): arm}, values)
    blocks = len(next(iter(costs.values()))) if costs else 0
    found = _Parts(guards, costs, with_shares)
    return MetricCosts(
        metric, ATTRIBUTED[metric], blocks, found.stack, found.by_guard(), found.interaction, found.not_measured(blocks)
    )


def _coalitions(guards: tuple[str, ...], with_shares: bool) -> list[tuple[str, ...]]:
    """The parts of the stack whose costs are looked for, whether or not they were run."""
    return subsets(guards, "shapley" if with_shares and len(guards) <= MAX_SHAPLEY else "leave-one-out")


def _arm_of(guards: tuple[str, ...], stacks: Mapping[str, tuple[str, ...]]) -> str | None:
    return next((arm for arm, mine in stacks.items() if mine == guards), None)


def _costs(arms: Mapping[frozenset[str], str | None], values: Mapping[str, Mapping[int, float]]) -> _Costs:
    """The cost of each set of guards that was run, over the blocks that all of these and the baseline have."""
    baseline = values.get(BASELINE, {})
    run = {guards: mine for guards, arm in arms.items() if arm is not None and (mine := values[arm])}
    common = sorted(baseline.keys() & set.intersection(*(set(mine) for mine in run.values())) if run else ())
    return {guards: np.array([mine[b] - baseline[b] for b in common]) for guards, mine in run.items()}


@dataclass(frozen=True)
class _Parts:
    """The figures of one metric of one stack, from the costs of its parts."""

    guards: tuple[str, ...]
    costs: _Costs
    with_shares: bool

    @property
    def stack(self) -> Interval | None:
        """The whole stack's tax."""
        return _interval(self._whole)

    @property
    def interaction(self) -> Interval | None:
        """The stack less its guards alone."""
        if self._whole is None or any(frozenset({g}) not in self.costs for g in self.guards):
            return None
        parts = [frozenset({g}) for g in self.guards]
        return _interval(np.array([interaction(block) for block in self._by_block([*parts, frozenset(self.guards)])]))

    def by_guard(self) -> tuple[GuardCost, ...]:
        """A guard's own figures, in the stack's order."""
        shares = self._shares()
        return tuple(
            GuardCost(
                guard,
                _interval(self.costs.get(frozenset({guard}))),
                _interval(self._left_out(guard)),
                _interval(shares.get(guard)),
            )
            for guard in self.guards
        )

    def not_measured(self, blocks: int) -> dict[str, str]:
        """What has no figure, and why."""
        if blocks < _MIN_BLOCKS:
            return {"all": f"{blocks} block(s) with every part and the baseline: an interval needs {_MIN_BLOCKS}"}
        found = {"stack": _lacking([frozenset(self.guards)], self)}
        for guard in self.guards:
            found[f"{guard} alone"] = _lacking([frozenset({guard})], self)
            found[f"{guard} left out"] = _lacking([frozenset(self.guards), frozenset(self.guards) - {guard}], self)
        found["interaction"] = _lacking([frozenset(self.guards), *(frozenset({g}) for g in self.guards)], self)
        found["Shapley shares"] = self._no_shares()
        return {what: why for what, why in found.items() if why}

    @property
    def _whole(self) -> Array | None:
        return self.costs.get(frozenset(self.guards))

    def _left_out(self, guard: str) -> Array | None:
        rest = self.costs.get(frozenset(self.guards) - {guard})
        return None if self._whole is None or rest is None else self._whole - rest

    def _all_parts(self) -> list[frozenset[str]]:
        return [frozenset(c) for c in [*_coalitions(self.guards, True), self.guards]]

    def _no_shares(self) -> str:
        if not self.with_shares:
            return "they need `attribution: shapley` in the scenario"
        if len(self.guards) > MAX_SHAPLEY:
            return f"a stack of more than {MAX_SHAPLEY} guards"
        return _lacking(self._all_parts(), self)

    def _shares(self) -> dict[str, Array]:
        if self._no_shares():
            return {}
        blocks = [shapley(block) for block in self._by_block(self._all_parts())]
        return {guard: np.array([block[guard] for block in blocks]) for guard in self.guards}

    def _by_block(self, parts: Sequence[frozenset[str]]) -> list[dict[frozenset[str], float]]:
        """The costs of these sets of guards in each block, the empty one's with them."""
        columns = zip(*(self.costs[part] for part in parts), strict=True)
        return [{frozenset(): 0.0, **dict(zip(parts, map(float, column), strict=True))} for column in columns]


def _lacking(parts: Sequence[frozenset[str]], found: _Parts) -> str:
    """Why a figure of these sets of guards is not there; nothing if it is."""
    lacking = ["+".join(g for g in found.guards if g in part) for part in parts if part not in found.costs]
    return f"no finished trial of {', '.join(lacking)}" if lacking else ""


def _interval(by_block: Array | None) -> Interval | None:
    """A t interval over blocks (Student 1908); None where there are too few."""
    if by_block is None or len(by_block) < _MIN_BLOCKS:
        return None
    return mean_difference(np.zeros(len(by_block)), by_block)
