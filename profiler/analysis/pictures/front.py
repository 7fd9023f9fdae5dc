"""What each arm costs beside what it lets through, and which arms no other beats in both."""

from dataclasses import dataclass

from profiler.analysis.stats import Interval
from profiler.analysis.tax import ArmResult, RunResult
from profiler.scenario import BASELINE
from profiler.sweep.pareto import front

TAX = "e2el_ms.mean"


@dataclass(frozen=True)
class FrontPoint:
    """One arm: its tax on mean E2EL, ms, and the share of harmful prompts that got an answer. The baseline's tax is 0.

    `beaten_by`: an arm that is as good in both and better in one; `clear`: beyond the intervals.
    """

    arm: str
    tax: Interval
    attack_success: Interval
    beaten_by: str
    clear: bool


@dataclass(frozen=True)
class Front:
    """The arms with both figures; `lacking`, of the others, why."""

    points: tuple[FrontPoint, ...]
    lacking: dict[str, str]


def benefit_front(result: RunResult) -> Front:
    """Where every arm stands."""
    axes, lacking = dict[str, tuple[Interval, Interval]](), dict[str, str]()
    for name, arm in result.arms.items():
        found = _axes(arm)
        if isinstance(found, str):
            lacking[name] = found
        else:
            axes[name] = found
    names = list(axes)
    standings = front(list(axes.values()))
    points = [
        FrontPoint(name, *axes[name], "" if s.beaten_by is None else names[s.beaten_by], s.clear)
        for name, s in zip(names, standings, strict=True)
    ]
    return Front(tuple(points), lacking)


def _axes(arm: ArmResult) -> tuple[Interval, Interval] | str:
    if arm.benefit is None:
        return "no benefit was derived"
    success = arm.benefit.figures["attack_success"]
    if success.interval is None:
        return success.why
    if arm.name == BASELINE:
        return Interval(0.0, 0.0, 0.0, 0.95), success.interval
    if (tax := arm.tax.get(TAX)) is None:
        return "no tax on mean E2EL"
    return Interval(tax.absolute, *tax.ci95, 0.95), success.interval
