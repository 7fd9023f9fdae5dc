"""Does the tax shrink in proportion as models grow? The tax of one scenario against the model's size, over runs.

tax = c * size^a, fitted on logarithms of both, each point with its own interval. A tax that may be nothing has no
logarithm with a finite interval, so where one is not told from zero the exponent is not given: leaving such points out
would keep the large ones of the small. A saving counts as a tax of the other sign; both signs in one arm do not fit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from profiler.analysis.block_resources import mean
from profiler.analysis.blocks import by_block
from profiler.analysis.comparison import Tax
from profiler.analysis.configuration import differences, match_arms
from profiler.analysis.run_figures import steady_trials
from profiler.analysis.stats import Interval
from profiler.analysis.stats.distributions import normal_quantile
from profiler.analysis.stats.meta_regression import meta_regression
from profiler.analysis.tax import RunResult
from profiler.scenario import BASELINE

METRICS = ("ttft_ms.mean", "tpot_ms.mean", "e2el_ms.mean", "output_tokens_per_s.mean")
MIN_SIZES = 3
_FLAT = 0.1
"""An exponent within this of 0 is no change: ten times the size changes the figure by less than 26 %."""


@dataclass(frozen=True)
class SizedRun:
    """A run and the number of parameters of its model."""

    result: RunResult
    parameters: float


@dataclass(frozen=True)
class Point:
    """One run's tax: `baseline` and `absolute` in the metric's unit, `relative` as a ratio."""

    run: str
    parameters: float
    baseline: float
    absolute: Interval
    relative: Interval | None


@dataclass(frozen=True)
class PowerLaw:
    """The tax goes as size^`exponent`; `factor` at size 1, of the tax's size. None where it is not given: `why`."""

    exponent: Interval | None
    factor: float | None = None
    why: str = ""

    @property
    def trend(self) -> str:
        """One of grows, shrinks, holds (within 0.1 of 0); empty where it cannot be told."""
        if self.exponent is None:
            return ""
        if self.exponent.low >= -_FLAT and self.exponent.high <= _FLAT:
            return "holds"
        return "grows" if self.exponent.low > 0 else "shrinks" if self.exponent.high < 0 else ""


@dataclass(frozen=True)
class ScaledTax:
    """One metric of one arm: its points by size, and the power laws of the absolute and of the relative tax."""

    points: tuple[Point, ...]
    absolute: PowerLaw
    relative: PowerLaw


@dataclass(frozen=True)
class Scale:
    """`arms` by the first run's names, by metric; `warnings` are what else differs between the runs, or voids one."""

    runs: tuple[SizedRun, ...]
    arms: Mapping[str, Mapping[str, ScaledTax]]
    warnings: tuple[str, ...]


def scale(runs: Sequence[SizedRun]) -> Scale:
    """Every arm that two runs or more have with the same guards; runs in the order of their size."""
    ordered = tuple(sorted(runs, key=lambda one: one.parameters))
    first = ordered[0].result
    arms = {}
    for arm in (name for name in first.arms if name != BASELINE):
        called = [(one, _named(first, arm, one.result)) for one in ordered]
        found = {metric: _scaled([_point(one, name, metric) for one, name in called if name]) for metric in METRICS}
        arms[arm] = {metric: one for metric, one in found.items() if one.points}
    return Scale(ordered, arms, _warnings(ordered))


def _named(first: RunResult, arm: str, other: RunResult) -> str | None:
    """What the arm is called in the other run."""
    matched = match_arms(first.run.manifest, [arm], other.run.manifest, list(other.arms))
    return matched.pairs[0][1] if matched.pairs else None


def _point(run: SizedRun, arm: str, metric: str) -> Point | None:
    tax, baseline = run.result.arms[arm].tax.get(metric), _baseline(run.result, metric)
    if tax is None or baseline is None:
        return None
    return Point(run.result.run.path.name, run.parameters, baseline, _absolute(tax), _relative(tax))


def _baseline(result: RunResult, metric: str) -> float | None:
    blocks = by_block(steady_trials(result, BASELINE)).values()
    return mean([block.values.get(metric) for block in blocks])


def _absolute(tax: Tax) -> Interval:
    return Interval(tax.absolute, *tax.ci95, 0.95)


def _relative(tax: Tax) -> Interval | None:
    if tax.relative is None or tax.relative_ci95 is None:
        return None
    return Interval(tax.relative, *tax.relative_ci95, 0.95)


def _scaled(found: Sequence[Point | None]) -> ScaledTax:
    points = tuple(point for point in found if point is not None)
    absolute = power_law([(one.parameters, one.absolute, one.run) for one in points])
    return ScaledTax(points, absolute, power_law([(one.parameters, one.relative, one.run) for one in points]))


def power_law(points: Sequence[tuple[float, Interval | None, str]]) -> PowerLaw:
    """Fit tax = c * size^a to sizes, taxes with 95 % intervals, and what each run is called.

    The standard error of a tax's logarithm is that of the normal whose 95 % interval is as wide as the tax's own.
    Source: random-effects meta-regression, see `meta_regression`.
    """
    sizes = {size for size, _, _ in points}
    if len(sizes) < MIN_SIZES:
        return PowerLaw(None, why=f"{len(sizes)} size(s): an interval needs {MIN_SIZES}")
    known = [(size, tax, run) for size, tax, run in points if tax is not None]
    if lost := next((run for _, tax, run in points if tax is None), None):
        return PowerLaw(None, why=f"{lost} has no such figure")
    if none := next((run for _, tax, run in known if tax.contains(0.0)), None):
        return PowerLaw(None, why=f"the tax of {none} is not told from zero: more blocks")
    signs = {tax.estimate > 0 for _, tax, _ in known}
    if len(signs) > 1:
        return PowerLaw(None, why="a tax at one size and a saving at another")
    logs = [_log(tax) for _, tax, _ in known]
    line = meta_regression([math.log(size) for size, _, _ in known], [y for y, _ in logs], [se for _, se in logs])
    return PowerLaw(line.slope.interval(), math.copysign(math.exp(line.at_zero), 1 if signs == {True} else -1))


def _log(tax: Interval) -> tuple[float, float]:
    """Ln of its size, and a standard error."""
    low, high = sorted((abs(tax.low), abs(tax.high)))
    return math.log(abs(tax.estimate)), max((math.log(high) - math.log(low)) / (2 * normal_quantile(0.975)), 1e-6)


def _warnings(runs: Sequence[SizedRun]) -> tuple[str, ...]:
    first = runs[0].result
    found = [f"{one.result.run.path.name} is INVALID: see its report" for one in runs if not one.result.valid]
    for other in runs[1:]:
        said = differences(_without_size(first.run.manifest), _without_size(other.result.run.manifest))
        found += [f"{first.run.path.name} and {other.result.run.path.name}: {what}" for what in said]
    return tuple(found)


def _without_size(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Models are to differ."""
    facts = {key: value for key, value in manifest["facts"].items() if key != "model"}
    return {**manifest, "facts": facts}
