"""Two runs side by side: arms that are the same, their figures, and the differences with intervals.

The runs are independent, so their blocks do not pair: Welch's t on the logarithms of the blocks' means, the cluster
bootstrap of each run's quantiles, both put together by Welch; Newcombe's square-and-add for shares of prompts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from profiler.analysis.comparison import Estimates, Tax
from profiler.analysis.configuration import differences, match_arms
from profiler.analysis.figure import Figure, not_measured
from profiler.analysis.run_figures import own_estimates, steady_trials
from profiler.analysis.stats import Interval, independent_difference, noise_floor, welch_difference
from profiler.analysis.tax import RunResult
from profiler.analysis.words import WORDS, benefit_figure

BENEFITS = tuple(word.name for word in WORDS.values() if word.kind == "benefit")


@dataclass(frozen=True)
class Change:
    """One metric in two runs, in its unit; `relative` is None where a figure is not positive.

    `beyond_floor`: the interval excludes zero and the change beats the A/A floors of both runs, on the relative scale
    where there is one; None where a run has no A/A for it.
    """

    before: Interval
    after: Interval
    absolute: Interval
    relative: Interval | None
    beyond_floor: bool | None = None


@dataclass(frozen=True)
class BenefitChange:
    """One share in two runs, and `after` less `before`."""

    before: Figure
    after: Figure
    change: Figure


@dataclass(frozen=True)
class ArmChange:
    """An arm that both runs have, by its name in each: what it cost and bought, by metric and by word."""

    first: str
    second: str
    metrics: Mapping[str, Change]
    benefit: Mapping[str, BenefitChange]


@dataclass(frozen=True)
class RunComparison:
    """`second` against `first`. `warnings` are what else differs, or voids a run."""

    first: RunResult
    second: RunResult
    arms: tuple[ArmChange, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    warnings: tuple[str, ...]


def compare_runs(first: RunResult, second: RunResult) -> RunComparison:
    """Everything that both runs measured."""
    a, b = first.run.manifest, second.run.manifest
    matched = match_arms(a, list(first.arms), b, list(second.arms))
    void = [f"{run.run.path.name} is INVALID: see its report" for run in (first, second) if not run.valid]
    return RunComparison(
        first,
        second,
        tuple(_arm(first, mine, second, theirs) for mine, theirs in matched.pairs),
        matched.only_first,
        matched.only_second,
        (*void, *differences(a, b)),
    )


def _arm(first: RunResult, mine: str, second: RunResult, theirs: str) -> ArmChange:
    before, after = own_estimates(steady_trials(first, mine)), own_estimates(steady_trials(second, theirs))
    metrics = {name: _change(name, before[name], after[name], first, second) for name in before if name in after}
    old, new = first.arms[mine].benefit, second.arms[theirs].benefit
    benefit = {}
    for name in BENEFITS:
        pair = benefit_figure(old, WORDS[name]), benefit_figure(new, WORDS[name])
        if any(figure.interval for figure in pair):
            benefit[name] = BenefitChange(*pair, benefit_difference(*pair))
    return ArmChange(mine, theirs, metrics, benefit)


def absolute_change(before: Estimates, after: Estimates) -> Interval:
    """`after` less `before` in the metric's unit."""
    return welch_difference(before.absolute, after.absolute).interval()


def relative_change(before: Estimates, after: Estimates) -> Interval | None:
    """The same as a share of `before`; None where a figure is not positive."""
    if before.log_ratio is None or after.log_ratio is None:
        return None
    return welch_difference(before.log_ratio, after.log_ratio).relative_interval()


def benefit_difference(before: Figure, after: Figure) -> Figure:
    """`after` less `before`, as if the prompts were others in each run: wider than need be where they are the same."""
    if before.interval is None or after.interval is None:
        return not_measured(before.why or after.why)
    return Figure(independent_difference(before.interval, after.interval), min(before.prompts, after.prompts))


def _change(name: str, before: Estimates, after: Estimates, first: RunResult, second: RunResult) -> Change:
    absolute, relative = absolute_change(before, after), relative_change(before, after)
    floors = [_floor(run.noise_floor.get(name), relative is not None) for run in (first, second)]
    known = [floor for floor in floors if floor is not None]
    shown = absolute if relative is None else relative
    beyond = None
    if len(known) == len(floors):
        beyond = shown.excludes_zero and abs(shown.estimate) > max(known)
    return Change(before.absolute.interval(), after.absolute.interval(), absolute, relative, beyond)


def _floor(aa: Tax | None, relative: bool) -> float | None:
    """How far one baseline of a run lay from the other."""
    if aa is None:
        return None
    if not relative:
        return noise_floor(Interval(aa.absolute, *aa.ci95, 0.95))
    if aa.relative is None or aa.relative_ci95 is None:
        return None
    return noise_floor(Interval(aa.relative, *aa.relative_ci95, 0.95))
