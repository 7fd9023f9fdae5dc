"""What an engine step costs: by its load, and by the work that guards do beside it.

duration = speed of the block * (base * turns + per_token * tokens + per_prompt_token * prompt tokens
                                 + per_copy * copies of prompt tokens
                                 + contention of the arm * ms of guard work)

fitted by generalised least squares: errors grow with the step (a machine that is 10 % slow is so for short
and long steps) and follow an AR(1) process along a trial (Prais & Winsten 1954), whose correlation is
estimated from the residuals of a first, ordinary fit (Cochrane & Orcutt 1949). Contention is seen inside
each trial, between the steps beside which a guard worked and those next to them: drift that is slower than
a few steps cancels. Uncertainty does not lean on that model of the noise: it comes from leaving out one
block at a time (see `ledger`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.columns import Ints
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
    """All steps below one another: rows of the regression, their trial and block."""

    columns: Floats
    duration_ms: Floats
    trial: Ints
    block: Ints


class StepFit:
    """The fit of a run; `without(block)` is the fit that leaves a block out (None: of all blocks)."""

    def __init__(self, trials: Sequence[TrialSteps]) -> None:
        """Fit. `trials` holds one trial or more with steps."""
        self._arms = _arms_with_work(trials)
        design = _design(trials, self._arms)
        self.speed, rows, target = _whitened(design)
        self._gram: dict[int, Floats] = {}
        self._moment: dict[int, Floats] = {}
        for block in np.unique(design.block).tolist():
            mine = design.block == block
            self._gram[block] = rows[mine].T @ rows[mine]
            self._moment[block] = rows[mine].T @ target[mine]

    @property
    def blocks(self) -> list[int]:
        """The blocks that have steps."""
        return list(self._gram)

    def without(self, block: int | None) -> StepModel:
        """The model fitted to every other block."""
        kept = [b for b in self._gram if b != block] or list(self._gram)
        gram, moment = sum(self._gram[b] for b in kept), sum(self._moment[b] for b in kept)
        found = _solve(np.asarray(gram), np.asarray(moment))
        return StepModel(found[:LOADS], dict(zip(self._arms, found[LOADS:].tolist(), strict=True)))


def _arms_with_work(trials: Sequence[TrialSteps]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t.arm for t in trials if t.steps.work_ms.any()))


def _design(trials: Sequence[TrialSteps], arms: Sequence[str]) -> _Design:
    columns, durations, trial, block = [], [], [], []
    for number, one in enumerate(trials):
        steps = one.steps
        work = np.stack([steps.work_ms * (arm == one.arm) for arm in arms], axis=1) if arms else None
        columns.append(steps.load if work is None else np.hstack([steps.load, work]))
        durations.append(steps.duration_ms)
        trial.append(np.full(len(steps.end_ns), number))
        block.append(np.full(len(steps.end_ns), one.block))
    return _Design(np.vstack(columns), np.concatenate(durations), np.concatenate(trial), np.concatenate(block))


def _whitened(design: _Design) -> tuple[dict[int, float], Floats, Floats]:
    """Each block's speed, and rows and target with the errors' growth and correlation taken out."""
    size = np.maximum(design.columns[:, :LOADS] @ _first_fit(design), 1e-6)
    speed = _speeds(design, design.duration_ms / size)
    names, place = np.unique(design.block, return_inverse=True)
    pace = np.array([speed[b] for b in names.tolist()])[place]
    rows, target = design.columns / size[:, None], design.duration_ms / pace / size
    error = target - rows @ _solve(rows.T @ rows, rows.T @ target)
    # One stall says little of what an ordinary step costs: errors beyond three robust deviations count less.
    spread = 1.4826 * float(np.median(np.abs(error - np.median(error)))) or 1.0
    weight = np.minimum(1.0, 3 * spread / np.maximum(np.abs(error), 1e-12))
    correlation = _correlation(np.clip(error, -3 * spread, 3 * spread), design.trial)
    follows = np.diff(design.trial, prepend=-1) == 0
    keep = np.where(follows, 1.0, np.sqrt(1 - correlation**2))
    return (
        speed,
        _differenced(rows * keep[:, None] * weight[:, None], rows * weight[:, None], follows, correlation),
        _differenced((target * keep * weight)[:, None], (target * weight)[:, None], follows, correlation)[:, 0],
    )


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


def _differenced(
    scaled: Floats, plain: Floats, follows: np.ndarray[tuple[int], np.dtype[np.bool_]], rho: float
) -> Floats:
    out = scaled.copy()
    at = np.flatnonzero(follows)
    out[at] -= rho * plain[at - 1]
    return out


def _solve(gram: Floats, moment: Floats) -> Floats:
    """Least squares by the normal equations, scaled; a load that never varied gets what it can."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-30))
    return np.asarray(np.linalg.lstsq(gram / np.outer(scale, scale), moment / scale, rcond=1e-9)[0] / scale)
