"""Whether limits are kept: decided on the bound of each 95 % interval, or not decided, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from profiler.analysis.comparison import Estimates
from profiler.analysis.configuration import differences, match_arms
from profiler.analysis.figure import Figure, not_measured
from profiler.analysis.run_comparison import absolute_change, benefit_difference, relative_change
from profiler.analysis.run_figures import own_estimates, steady_trials, why_none
from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult
from profiler.analysis.words import benefit_change, benefit_figure
from profiler.gate.limit import Limit
from profiler.scenario import BASELINE

State = Literal["met", "broken", "undecided"]


@dataclass(frozen=True)
class Decided:
    """One limit of one arm. `interval` is None where the figure was not measured; `why` says why it is not decided."""

    arm: str
    limit: Limit
    state: State
    interval: Interval | None
    why: str = ""


@dataclass(frozen=True)
class Gate:
    """All limits of all arms. `against` is what differences are to; `warnings` bear on them.

    `other`: that is another run.
    """

    run: RunResult
    against: str
    results: tuple[Decided, ...]
    warnings: tuple[str, ...] = ()
    other: bool = False

    @property
    def state(self) -> State:
        """Broken if one limit is; met if all are."""
        states = {one.state for one in self.results}
        return "broken" if "broken" in states else "undecided" if "undecided" in states else "met"


def decide(result: RunResult, limits: Sequence[Limit], arms: Sequence[str], other: RunResult | None = None) -> Gate:
    """Hold the arms to the limits; differences are to the run's own baseline, or to the same arm of `other`.

    A run that broke a rule of a valid measurement decides nothing.
    """
    void = _void(result)
    results = []
    for arm in arms:
        judged = _Arm(result, arm, other)
        for limit in limits:
            reason = void or (_void(other) if other is not None and limit.scale != "own" else "")
            results.append(Decided(arm, limit, "undecided", None, reason) if reason else judged.decide(limit))
    warnings = () if other is None else differences(other.run.manifest, result.run.manifest)
    against = BASELINE if other is None else f"the same arm of {other.run.path.name}"
    return Gate(result, against, tuple(results), (*warnings, *result.warnings), other is not None)


def _void(result: RunResult) -> str:
    found = next((finding for finding in result.findings if finding.invalid), None)
    if found is None:
        return ""
    return f"{result.run.path.name} is INVALID: {found.arm}: {found.text.removeprefix('INVALID: ')}"


def judge(limit: Limit, found: Interval) -> tuple[State, str]:
    """Met if the whole interval keeps the limit, broken if none of it does.

    With the 95 % interval each of the two is wrong at most 2.5 % of the time.
    """
    if limit.side == "max":
        met, broken = found.high <= limit.bound, found.low > limit.bound
    else:
        met, broken = found.low >= limit.bound, found.high < limit.bound
    if met or broken:
        return ("met" if met else "broken"), ""
    return "undecided", "the interval straddles the limit: add blocks or prompts"


@dataclass(frozen=True)
class _Arm:
    """One arm, and what it is compared with."""

    result: RunResult
    arm: str
    other: RunResult | None

    def decide(self, limit: Limit) -> Decided:
        """One limit."""
        figure = self._benefit(limit) if limit.word.kind == "benefit" else self._cost(limit)
        if figure.interval is None:
            return Decided(self.arm, limit, "undecided", None, f"not measured: {figure.why}")
        state, why = judge(limit, figure.interval)
        return Decided(self.arm, limit, state, figure.interval, why)

    @cached_property
    def _same(self) -> str | None:
        """The name in the other run of the arm that has the same guards."""
        if self.other is None:
            return None
        found = match_arms(
            self.result.run.manifest, list(self.result.arms), self.other.run.manifest, list(self.other.arms)
        )
        return dict(found.pairs).get(self.arm)

    @cached_property
    def _mine(self) -> Mapping[str, Estimates]:
        return own_estimates(steady_trials(self.result, self.arm))

    @cached_property
    def _theirs(self) -> Mapping[str, Estimates]:
        if self.other is None or self._same is None:
            return {}
        return own_estimates(steady_trials(self.other, self._same))

    def _cost(self, limit: Limit) -> Figure:
        key = limit.word.key
        if limit.scale == "own":
            own = self._mine.get(key)
            return self._none(key) if own is None else Figure(own.absolute.interval(), 0)
        if self.other is None:
            return self._tax(limit)
        if self._same is None:
            return self._no_such_arm()
        before, after = self._theirs.get(key), self._mine.get(key)
        if before is None or after is None:
            lacking = self.result.run.path.name if after is None else self.other.run.path.name
            return not_measured(f"{lacking}: {self._none(key, in_other=after is not None).why}")
        found = relative_change(before, after) if limit.scale == "relative" else absolute_change(before, after)
        return not_measured("a figure is not positive") if found is None else Figure(found, 0)

    def _tax(self, limit: Limit) -> Figure:
        """Against the baseline of the same run, blocks paired."""
        key = limit.word.key
        tax = self.result.arms[self.arm].tax.get(key)
        if tax is None:
            return self._none(key)
        if limit.scale == "absolute":
            return Figure(Interval(tax.absolute, *tax.ci95, 0.95), 0)
        if tax.relative is None or tax.relative_ci95 is None:
            return not_measured("the baseline's figure is not positive: give an absolute limit")
        return Figure(Interval(tax.relative, *tax.relative_ci95, 0.95), 0)

    def _benefit(self, limit: Limit) -> Figure:
        mine = self.result.arms[self.arm].benefit
        if limit.scale == "own":
            return benefit_figure(mine, limit.word)
        if self.other is None:
            return benefit_change(mine, limit.word)
        if self._same is None:
            return self._no_such_arm()
        theirs = self.other.arms[self._same].benefit
        return benefit_difference(benefit_figure(theirs, limit.word), benefit_figure(mine, limit.word))

    def _no_such_arm(self) -> Figure:
        where = "" if self.other is None else self.other.run.path.name
        return not_measured(f"{where} has no arm with these guards")

    def _none(self, key: str, *, in_other: bool = False) -> Figure:
        result, arm = (self.other, self._same) if in_other else (self.result, self.arm)
        if result is None or arm is None:
            return self._no_such_arm()
        trials, absent = steady_trials(result, arm), result.run.manifest.get("not_measured", {})
        if self.other is None:
            # The tax needs them in both.
            trials = min(trials, steady_trials(result, BASELINE), key=lambda found: sum(t.requests for t in found))
        return not_measured(why_none(key, trials, absent))
