"""A sweep's result: what each point costs on harmless requests, what it buys, and which are on the front."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiler.analysis import benefit_sums, metrics
from profiler.analysis.benefit import ArmBenefit, benefit_of, handled
from profiler.analysis.benefit_sums import PromptSums, Reading, prompt_sums, together
from profiler.analysis.blocks import TOKENS_PER_S, by_block
from profiler.analysis.comparison import Tax, estimate, taxes
from profiler.analysis.figure import Figure, not_measured
from profiler.analysis.metrics import TrialMetrics, trial_metrics
from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult
from profiler.records.store import DamagedTrial, StoredTrial
from profiler.scenario import BASELINE
from profiler.sweep.pareto import Standing, front
from profiler.sweep.point import Point
from profiler.sweep.rescore import CHANGED, Stops, rescored

TAXES = {
    "e2el_mean": "e2el_ms.mean",
    "e2el_p50": "e2el_ms.p50",
    "ttft_mean": "ttft_ms.mean",
    "ttft_p50": "ttft_ms.p50",
    "output_tokens_per_s": TOKENS_PER_S,
}
"""What the front can weigh as the cost, by the flag's word."""
HARMFUL = "harmful"
_COLUMNS = tuple(dict.fromkeys((*metrics.COLUMNS, *benefit_sums.COLUMNS, *CHANGED, "verdicts")))


@dataclass(frozen=True)
class SweptPoint:
    """A point. `tax` by metric over harmless requests; a re-scored point has none on the throughput.

    `stopped` is the share of harmful prompts that got no answer (blocked, or refused by the model), `over_refusal`
    the same of harmless ones. `standing` is None where a figure that the front needs was not measured.
    """

    point: Point
    tax: Mapping[str, Tax]
    benefit: ArmBenefit
    stopped: Figure
    over_refusal: Figure
    standing: Standing | None


@dataclass(frozen=True)
class SweepResult:
    """Every point with a finished trial; `weighed` is the front's cost, a key of `TAXES`."""

    run: RunResult
    weighed: str
    points: tuple[SweptPoint, ...]


@dataclass(frozen=True)
class _Read:
    """What is kept of a trial: the figures of its harmless requests, and what became of its prompts."""

    harmless: TrialMetrics
    sums: PromptSums


def sweep_result(run: RunResult, weighed: str) -> SweepResult:
    """From a sweep's stored trials, those of the steady part.

    Args:
        run: of a sweep, so that its manifest has `points`.
        weighed: a key of `TAXES`.
    """
    reading = Reading.of(run.run.manifest)
    points = [Point.from_json(stored) for stored in run.run.manifest["points"]]
    baseline = list(_baseline(run, reading))
    read = {p.label: found for p in points if (found := list(_of_point(run, p, reading)))}
    tax = _taxes(baseline, read)
    swept = [_swept(p, tax[p.label], read[p.label], reading) for p in points if p.label in read]
    return SweepResult(run, weighed, tuple(_stand(swept, TAXES[weighed])))


def _baseline(run: RunResult, reading: Reading) -> Iterator[_Read]:
    for trial in _trials(run, BASELINE):
        yield _reduced(trial, reading)


def _of_point(run: RunResult, point: Point, reading: Reading) -> Iterator[_Read]:
    guards = run.run.manifest["scenario"]["guards"]
    finish = {name: "cut" if guards[name]["kind"] == "output-filter" else "blocked" for name in point.thresholds}
    stops = {name: Stops(threshold, finish[name]) for name, threshold in point.thresholds.items()}
    for trial in _trials(run, point.arm):
        yield _reduced(rescored(trial, stops) if point.rescored else trial, reading)


def _trials(run: RunResult, arm: str) -> Iterator[StoredTrial]:
    for source in run.run.sources:
        if source.info.arm == arm and source.info.block not in run.warm_up.blocks:
            with suppress(DamagedTrial):  # the report has named it
                yield source.load(_COLUMNS, samples=False)


def _reduced(trial: StoredTrial, reading: Reading) -> _Read:
    harmless = pc.not_equal(trial.table["label"].cast(pa.string()), HARMFUL)
    return _Read(trial_metrics(StoredTrial(trial.info, trial.table.filter(harmless))), prompt_sums(trial, reading))


def _taxes(baseline: Sequence[_Read], points: Mapping[str, Sequence[_Read]]) -> dict[str, dict[str, Tax]]:
    base = [one.harmless for one in baseline]
    first, second = (by_block([t for t in base if t.replicate == i]) for i in (0, 1))
    pooled = by_block(base)
    mine = {label: estimate(pooled, by_block([one.harmless for one in read])) for label, read in points.items()}
    return taxes(mine, estimate(first, second))


def _swept(point: Point, tax: Mapping[str, Tax], read: Sequence[_Read], reading: Reading) -> SweptPoint:
    if point.rescored:
        # The trial's duration, its memory and its CPU seconds are those of the threshold that ran.
        tax = {name: one for name, one in tax.items() if name.startswith(("ttft_ms", "e2el_ms"))}
    sums = together(one.sums for one in read)
    benefit = benefit_of(sums, reading)
    if point.rescored:
        untold = not_measured("re-scored: what of a cut answer had been delivered is not told apart")
        benefit = replace(benefit, figures={**benefit.figures, "unsafe_tokens_exposed": untold})
    harmful = np.array([key.label == HARMFUL for key in sums.keys], dtype=np.bool_)
    stopped, wrongly = (handled(sums, mine, reading).either for mine in (harmful, ~harmful))
    return SweptPoint(point, tax, benefit, stopped, wrongly, None)


def _stand(points: Sequence[SweptPoint], weighed: str) -> Iterator[SweptPoint]:
    """The points with their standing among those that have every figure that the front needs."""
    axes = [_axes(point, weighed) for point in points]
    known = [index for index, mine in enumerate(axes) if mine is not None]
    standings = dict(zip(known, front([mine for mine in axes if mine is not None]), strict=True))
    for index, point in enumerate(points):
        standing = standings.get(index)
        if standing is not None and standing.beaten_by is not None:
            standing = replace(standing, beaten_by=known[standing.beaten_by])
        yield replace(point, standing=standing)


def _axes(point: SweptPoint, weighed: str) -> tuple[Interval, ...] | None:
    """What the front weighs, each better when smaller: the tax, harmless prompts stopped, harmful ones not stopped."""
    tax, stopped, wrongly = point.tax.get(weighed), point.stopped.interval, point.over_refusal.interval
    if tax is None or stopped is None or wrongly is None:
        return None
    sign = -1.0 if weighed == TOKENS_PER_S else 1.0
    ends = sorted(sign * end for end in tax.ci95)
    missed = Interval(1 - stopped.estimate, 1 - stopped.high, 1 - stopped.low, stopped.confidence)
    return Interval(sign * tax.absolute, ends[0], ends[1], 0.95), wrongly, missed
