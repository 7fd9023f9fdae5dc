"""The ledger: direct + induced + waste + saved + residual = the measured difference.

Every entry is a mean over blocks of (arm - the block's baselines). Direct is read off the requests' own
time lines. What the engine took is told by its steps (`steps`, `step_model`), on a clock of steps that a
drifting machine does not move (`engine_clock`): the arm's other batches, the slowdown beside the guard's
work, and the share of the tokens that no user got. Intervals: jackknife over blocks (Efron & Stein 1981),
with t of blocks - 1 degrees of freedom, the step model fitted anew without each block.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.columns import Spans, calls_of, ints, spans_of
from profiler.analysis.engine_clock import FEATURES, LOAD, WASTED, WORK, EngineClock
from profiler.analysis.ledger_entries import Ledger, Waste
from profiler.analysis.savings import EngineUse, saved_tokens, use_of
from profiler.analysis.stages import stage_times_ms
from profiler.analysis.stats.interval import Interval
from profiler.analysis.stats.t_estimate import TEstimate
from profiler.analysis.step_model import LOADS, StepFit, StepModel, TrialSteps
from profiler.analysis.steps import steps_of
from profiler.analysis.timeline import Floats, timeline
from profiler.records.store import StoredTrial
from profiler.scenario import BASELINE

METRICS = ("ttft_ms", "e2el_ms")


@dataclass(frozen=True)
class TrialSums:
    """What the ledger keeps of a trial: means per answered request, by metric, and its steps."""

    arm: str
    block: int
    latency_ms: Mapping[str, float]
    direct_ms: Mapping[str, float]
    stages_ms: Mapping[str, Mapping[str, float]]
    stays: Mapping[str, Floats]
    use: EngineUse
    steps: TrialSteps | None
    has_spans: bool
    energy_j: float | None
    duration_s: float


def sums_of(trial: StoredTrial) -> TrialSums | None:
    """Reduce a trial to what the ledger needs; None where no request was answered."""
    calls, spans = calls_of(trial), spans_of(trial)
    delivered = ints(trial.table, "output_tokens")
    steps = steps_of(calls, spans, delivered)
    clock = None if steps is None else EngineClock.of(steps)
    lines = {metric: timeline(trial, calls, spans, metric) for metric in METRICS}
    answered = lines["e2el_ms"].answered
    if not answered.any():
        return None
    stays = {
        m: np.zeros((len(answered), FEATURES)) if clock is None else clock.stays(line) for m, line in lines.items()
    }
    stages = {m: stage_times_ms(line, spans) for m, line in lines.items()}
    info = trial.info
    return TrialSums(
        arm=info.arm,
        block=info.block,
        latency_ms={m: float(line.latency_ms[answered].mean()) for m, line in lines.items()},
        direct_ms={m: float(line.direct_ms[answered].mean()) for m, line in lines.items()},
        stages_ms={m: {s: float(v[answered].mean()) for s, v in found.items()} for m, found in stages.items()},
        stays={m: np.asarray(found[answered].mean(axis=0)) for m, found in stays.items()},
        use=use_of(trial, calls, delivered, answered, stays),
        steps=None if steps is None else TrialSteps(info.arm, info.block, steps),
        has_spans=_has_spans(spans),
        energy_j=info.readings.energy_j,
        duration_s=(info.ended_ns - info.started_ns) / 1e9,
    )


def ledgers(trials: Sequence[StoredTrial], metric: str) -> dict[str, Ledger]:
    """The ledger of every arm for "ttft_ms" or "e2el_ms"; arms with fewer than two blocks have none.

    Raises:
        ValueError: an unknown metric.
    """
    return ledgers_of([s for t in trials if (s := sums_of(t)) is not None], metric)


def ledgers_of(sums: Sequence[TrialSums], metric: str, fit: StepFit | None = None) -> dict[str, Ledger]:
    """The same from trials that have been reduced already. `fit` is that of `fit_of`, if it has been made."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric}")
    fit = fit or fit_of(sums)
    arms = [arm for arm in dict.fromkeys(s.arm for s in sums) if arm != BASELINE]
    found = {arm: _ledger(arm, metric, sums, fit) for arm in arms}
    return {arm: ledger for arm, ledger in found.items() if ledger is not None}


def fit_of(sums: Sequence[TrialSums]) -> StepFit | None:
    """The step model of a run; None where no step could be told."""
    steps = [s.steps for s in sums if s.steps is not None]
    return StepFit(steps) if steps else None


def wastes(trials: Sequence[StoredTrial]) -> dict[str, Waste]:
    """What every arm but the baseline generated for nobody."""
    return wastes_of([s for t in trials if (s := sums_of(t)) is not None])


def wastes_of(sums: Sequence[TrialSums], fit: StepFit | None = None) -> dict[str, Waste]:
    """The same from trials that have been reduced already. `fit` is that of `fit_of`, if it has been made."""
    fit = fit or fit_of(sums)
    model = None if fit is None else fit.without(None)
    arms = [arm for arm in dict.fromkeys(s.arm for s in sums) if arm != BASELINE]
    return {arm: _waste([s for s in sums if s.arm == arm], sums, model) for arm in arms}


def _waste(mine: Sequence[TrialSums], sums: Sequence[TrialSums], model: StepModel | None) -> Waste:
    base = _uses_by_block([s for s in sums if s.arm == BASELINE])
    shares = [_wasted_share(s, model) for s in mine]
    joules = [s.energy_j * share for s, (_, share) in zip(mine, shares, strict=True) if s.energy_j is not None]
    known = model is not None and len(joules) == len(mine)
    return Waste(
        tokens=sum(s.use.wasted_tokens for s in mine),
        generated_tokens=sum(s.use.generated_tokens for s in mine),
        engine_s=None if model is None else sum(seconds for seconds, _ in shares),
        energy_j=sum(joules) if known else None,
        saved_tokens=round(sum(saved_tokens(s.use, base.get(s.block, [])) for s in mine)),
    )


def _wasted_share(one: TrialSums, model: StepModel | None) -> tuple[float, float]:
    """Engine seconds that were wasted in a trial, and their share of the trial's length."""
    if model is None or one.steps is None:
        return 0.0, 0.0
    wasted_ms = float((one.steps.steps.wasted @ model.load_ms).sum())
    return wasted_ms / 1e3, min(wasted_ms / 1e3 / one.duration_s, 1.0)


@dataclass(frozen=True)
class _Blocks:
    """Differences of an arm to its block's baselines, shape (blocks, ...)."""

    blocks: list[int]
    baseline_ms: Floats
    measured_ms: Floats
    direct_ms: Floats
    stays: Floats
    saved: Floats
    work_ms: Floats


def _ledger(arm: str, metric: str, sums: Sequence[TrialSums], fit: StepFit | None) -> Ledger | None:
    rows = _differences(arm, metric, sums)
    if len(rows.blocks) < 2:
        return None
    mine = [s for s in sums if s.arm == arm]
    working = fit is not None and arm in fit.without(None).contention
    by_difference = fit is None or not any(s.has_spans for s in mine)
    whole = _entries(arm, rows, None, fit, by_difference)
    left_out = np.array([_entries(arm, rows, i, fit, by_difference) for i in range(len(rows.blocks))])
    names = ("measured", "direct", "induced", "waste", "saved", "residual", "contention")
    found = {name: _jackknife(whole[i], left_out[:, i]) for i, name in enumerate(names)}
    contention = found.pop("contention")
    return Ledger(
        arm=arm,
        metric=metric,
        baseline_ms=float(rows.baseline_ms.mean()),
        stages_ms=_stages(arm, metric, rows.blocks, sums),
        contention=contention if working and not by_difference else None,
        by_difference=by_difference,
        **found,
    )


def _entries(arm: str, rows: _Blocks, left_out: int | None, fit: StepFit | None, by_difference: bool) -> Floats:
    """The entries in ms, from every block but one, and last the contention."""
    kept = np.arange(len(rows.blocks)) != (-1 if left_out is None else left_out)
    measured, direct = float(rows.measured_ms[kept].mean()), float(rows.direct_ms[kept].mean())
    if fit is None:
        return np.array([measured, direct, measured - direct, 0.0, 0.0, 0.0, 0.0])
    model = fit.without(None if left_out is None else rows.blocks[left_out])
    stay = rows.stays[kept].mean(axis=0)
    waste = float(stay[WASTED] @ model.load_ms)
    saved = float(rows.saved[kept].mean(axis=0) @ model.load_ms)
    contention = model.contention.get(arm, 0.0)
    slowed = contention * float(rows.work_ms[kept].mean())
    induced = float(stay[LOAD] @ model.load_ms) - waste - saved + slowed
    if by_difference:
        induced = measured - direct - waste - saved
    residual = 0.0 if by_difference else measured - direct - induced - waste - saved
    return np.array([measured, direct, induced, waste, saved, residual, contention])


def _differences(arm: str, metric: str, sums: Sequence[TrialSums]) -> _Blocks:
    base, mine = _by_block(sums, BASELINE), _by_block(sums, arm)
    shared = sorted(base.keys() & mine.keys())

    def each(value: Mapping[int, list[TrialSums]], block: int, name: str) -> Floats:
        return np.asarray(np.mean([np.asarray(getattr(s, name)[metric]) for s in value[block]], axis=0))

    def difference(name: str) -> Floats:
        return np.array([each(mine, b, name) - each(base, b, name) for b in shared])

    uses = _uses_by_block([s for s in sums if s.arm == BASELINE])
    saved = [np.mean([s.use.saved(metric, uses[b]) for s in mine[b]], axis=0) for b in shared]
    return _Blocks(
        shared,
        np.array([each(base, b, "latency_ms") for b in shared]),
        difference("latency_ms"),
        difference("direct_ms"),
        difference("stays"),
        np.array(saved).reshape(len(shared), LOADS),
        np.array([each(mine, b, "stays")[WORK] for b in shared]),
    )


def _by_block(sums: Sequence[TrialSums], arm: str) -> dict[int, list[TrialSums]]:
    found: dict[int, list[TrialSums]] = {}
    for one in sums:
        if one.arm == arm:
            found.setdefault(one.block, []).append(one)
    return found


def _uses_by_block(baseline: Sequence[TrialSums]) -> dict[int, list[EngineUse]]:
    return {block: [s.use for s in found] for block, found in _by_block(baseline, BASELINE).items()}


def _stages(arm: str, metric: str, blocks: Sequence[int], sums: Sequence[TrialSums]) -> dict[str, float]:
    """Direct time by stage as the direct entry has it: over the baseline's, mean over blocks."""
    base, mine, total = _by_block(sums, BASELINE), _by_block(sums, arm), defaultdict[str, float](float)
    for found, sign in ((mine, 1), (base, -1)):
        for one in (one for block in blocks for one in found[block]):
            for stage, value in one.stages_ms[metric].items():
                total[stage] += sign * value / len(found[one.block]) / len(blocks)
    return dict(total)


def _jackknife(whole: float, left_out: Floats) -> Interval:
    """Efron & Stein 1981: the spread of leave-one-block-out estimates, blown up by blocks - 1."""
    n = len(left_out)
    error = float(np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2)))
    return TEstimate(whole, error, n - 1).interval()


def _has_spans(spans: Spans) -> bool:
    return len(spans.request) > 0
