"""What an engine step costs: by its load, and by the work that guards do beside it.

duration = speed of the block * (base * turns + per_token * tokens + per_prompt_token * prompt tokens
                                 + per_copy * copies of prompt tokens
                                 + contention of the arm * ms of guard work)

fitted by generalised least squares: errors grow with the step (a machine that is 10 % slow is so for short
and long steps) and follow an AR(1) process along a trial (Prais & Winsten 1954), whose correlation is
estimated from the residuals of a first, ordinary fit (Cochrane & Orcutt 1949). Contention is seen inside
each trial, between the steps beside which a guard worked and those next to them: drift that is slower than
a few steps cancels. A step that is long for any reason meets more of a guard's work, which would look like
contention; so the work that a step met is instrumented by the work that fell within its predicted length
(two-stage least squares, Theil 1953, Basmann 1957). Uncertainty does not lean on that model of the noise: it
comes from leaving out one block at a time (see `ledger`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.columns import Bools, Ints
from profiler.analysis.steps import Steps
from profiler.analysis.timeline import Floats

LOADS = 4
_MAX_CORRELATION = 0.95


@dataclass(frozen=True)
class TrialSteps:
    """The steps of one trial, with its arm and block."""

    arm: str
    block: int
    steps: Steps


@dataclass(frozen=True)
class StepModel:
    """`load_ms`, shape (4,): ms a turn, a token, a prompt token, a copy of one.

    `contention`: ms of delay per ms of work, by arm.
    """

    load_ms: Floats
    contention: Mapping[str, float]

    def predicted_ms(self, steps: Steps) -> Floats:
        """Duration of each step on the run's mean machine, without contention."""
        return np.asarray(steps.load @ self.load_ms)


@dataclass(frozen=True)
class _Design:
    """All steps below one another: rows of the regression, their trial and block; and the steps themselves."""

    columns: Floats
    duration_ms: Floats
    trial: Ints
    block: Ints
    trials: Sequence[TrialSteps]
    arms: Sequence[str]


class StepFit:
    """The fit of a run; `without(block)` is the fit that leaves a block out (None: of all blocks)."""

    def __init__(self, trials: Sequence[TrialSteps]) -> None:
        """Fit. `trials` holds one trial or more with steps."""
        self._arms = _arms_with_work(trials)
        design = _design(trials, self._arms)
        self.speed, rows, instruments, target = _whitened(design)
        self._gram: dict[int, Floats] = {}
        self._moment: dict[int, Floats] = {}
        for block in np.unique(design.block).tolist():
            mine = design.block == block
            self._gram[block] = instruments[mine].T @ rows[mine]
            self._moment[block] = instruments[mine].T @ target[mine]

    def without(self, block: int | None) -> StepModel:
        """The model fitted to every other block."""
        kept = [b for b in self._gram if b != block] or list(self._gram)
        gram, moment = sum(self._gram[b] for b in kept), sum(self._moment[b] for b in kept)
        found = _solve(np.asarray(gram), np.asarray(moment))
        return StepModel(found[:LOADS], dict(zip(self._arms, found[LOADS:].tolist(), strict=True)))


def _arms_with_work(trials: Sequence[TrialSteps]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t.arm for t in trials if t.steps.work_ms.any()))


def _design(trials: Sequence[TrialSteps], arms: Sequence[str]) -> _Design:
    sizes = [len(one.steps.end_ns) for one in trials]
    return _Design(
        _beside([one.steps.load for one in trials], trials, [one.steps.work_ms for one in trials], arms),
        np.concatenate([one.steps.duration_ms for one in trials]),
        np.repeat(np.arange(len(trials)), sizes),
        np.repeat([one.block for one in trials], sizes),
        trials,
        arms,
    )


def _beside(
    loads: Sequence[Floats], trials: Sequence[TrialSteps], work: Sequence[Floats], arms: Sequence[str]
) -> Floats:
    """The loads, and a column an arm with the work beside its own steps."""
    columns = (
        [np.stack([mine * (arm == one.arm) for arm in arms], axis=1) for one, mine in zip(trials, work, strict=True)]
        if arms
        else []
    )
    return np.hstack([np.vstack(loads), np.vstack(columns)]) if columns else np.vstack(loads)


def _expected_work(design: _Design, predicted_ms: Floats) -> list[Floats]:
    """The work that each step would have met had it been as long as predicted."""
    found, at = [], 0
    for one in design.trials:
        start_ns = one.steps.start_ns
        length_ns = (predicted_ms[at : at + len(start_ns)] * 1e6).astype(np.int64)
        found.append(one.steps.work.between(start_ns, start_ns + length_ns))
        at += len(start_ns)
    return found


def _whitened(design: _Design) -> tuple[dict[int, float], Floats, Floats, Floats]:
    """Each block's speed; rows, instruments and target with the errors' growth and correlation taken out."""
    least_ms = max(float(np.median(design.duration_ms)) / 10, 1e-6)
    size = np.maximum(design.columns[:, :LOADS] @ _first_fit(design), least_ms)
    speed = _speeds(design, design.duration_ms / size)
    names, place = np.unique(design.block, return_inverse=True)
    pace = np.array([speed[b] for b in names.tolist()])[place]
    expected = _beside(
        [one.steps.load for one in design.trials], design.trials, _expected_work(design, size * pace), design.arms
    )
    rows, instruments, target = (
        design.columns / size[:, None],
        expected / size[:, None],
        design.duration_ms / pace / size,
    )
    error = target - rows @ _solve(instruments.T @ rows, instruments.T @ target)
    # One stall says little of what an ordinary step costs: errors beyond three robust deviations count less.
    spread = 1.4826 * float(np.median(np.abs(error - np.median(error)))) or 1.0
    weight = np.minimum(1.0, 3 * spread / np.maximum(np.abs(error), 1e-12))
    correlation = _correlation(np.clip(error, -3 * spread, 3 * spread), design.trial)
    follows = np.diff(design.trial, prepend=-1) == 0

    def whiten(columns: Floats) -> Floats:
        return _differenced(columns * weight[:, None], follows, correlation)

    return speed, whiten(rows), whiten(instruments), whiten(target[:, None])[:, 0]


def _first_fit(design: _Design) -> Floats:
    """Ordinary weighted fit of all columns; only the load's coefficients are wanted."""
    scale = np.maximum(design.duration_ms, 1e-6)
    rows = design.columns / scale[:, None]
    return _solve(rows.T @ rows, rows.sum(axis=0))[:LOADS]


def _speeds(design: _Design, ratio: Floats) -> dict[int, float]:
    """How slow each block was against the mean: median ratio of its steps' durations to the predicted ones."""
    found = {b: float(np.median(ratio[design.block == b])) for b in np.unique(design.block).tolist()}
    mean = float(np.mean(list(found.values())))
    return {b: value / mean for b, value in found.items()}


def _correlation(error: Floats, trial: Ints) -> float:
    same = np.diff(trial) == 0
    before, after = error[:-1][same], error[1:][same]
    power = float(before @ before)
    return min(max(float(before @ after) / power, 0.0), _MAX_CORRELATION) if power > 0 else 0.0


def _differenced(columns: Floats, follows: Bools, rho: float) -> Floats:
    """Each row less `rho` times the one before; the first of a trial scaled alike (Prais & Winsten)."""
    out = columns * np.where(follows, 1.0, np.sqrt(1 - rho**2))[:, None]
    at = np.flatnonzero(follows)
    out[at] -= rho * columns[at - 1]
    return np.asarray(out)


def _solve(gram: Floats, moment: Floats) -> Floats:
    """Least squares by the normal equations, scaled; a load that never varied gets what it can."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(gram)), 1e-30))
    return np.asarray(np.linalg.lstsq(gram / np.outer(scale, scale), moment / scale, rcond=1e-9)[0] / scale)
