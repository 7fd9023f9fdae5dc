"""Warm-up, found and cut: how many leading blocks of a run are not yet at its steady level."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profiler.analysis.columns import ints
from profiler.analysis.stats.distributions import t_quantile
from profiler.analysis.validity import delivered_in_full
from profiler.records.store import StoredTrial

Array = npt.NDArray[np.float64]
COLUMNS = ("sent_ns", "first_ns", "last_ns", "output_tokens", "finish_reason", "outcome")
"""The columns that `level_of` reads."""
LEAST_BLOCKS = 6
LEAST_CHANGE = 0.05
_LEVEL_OF_TEST = 0.99


@dataclass(frozen=True, slots=True)
class TrialLevel:
    """How slow one trial was: `level` is the median over its whole answers of log(ns per token), None without any."""

    block: int
    arm: str
    started_ns: int
    level: float | None


@dataclass(frozen=True, slots=True)
class Cut:
    """The blocks to leave out, in time order, and why these, or why none."""

    blocks: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Settled:
    """The trials of the steady part, the blocks that were cut before it, and why."""

    trials: tuple[StoredTrial, ...]
    cut_blocks: tuple[int, ...]
    why: str


def settled(trials: Sequence[StoredTrial]) -> Settled:
    """The trials after the warm-up; whole blocks are cut, so that arms stay balanced. See `find_cut`."""
    cut = find_cut([level_of(trial) for trial in trials])
    kept = tuple(trial for trial in trials if trial.info.block not in cut.blocks)
    return Settled(kept, cut.blocks, cut.why)


def level_of(trial: StoredTrial) -> TrialLevel:
    """Reduce a trial to its level; blocked, cut and failed answers do not count."""
    table, info = trial.table, trial.info
    tokens, sent, last = (ints(table, name) for name in ("output_tokens", "sent_ns", "last_ns"))
    whole = delivered_in_full(table) & (tokens > 0) & (last > sent)
    level = float(np.median(np.log((last - sent)[whole] / tokens[whole]))) if whole.any() else None
    return TrialLevel(info.block, info.arm, info.started_ns, level)


def find_cut(levels: Sequence[TrialLevel]) -> Cut:
    """The leading blocks that belong to the warm-up, at most half of all.

    White 1997, "An effective truncation heuristic for bias reduction in simulation output", Simulation 69:
    the Marginal Standard Error Rule (as MSER-5, with a block of the run in the place of five observations).
    A block counts by the mean over its trials of each one's distance from its arm's median. All of a
    block's trials weigh the same: the choice is then uncorrelated with the block's arm - baseline
    difference, and cutting does not bias the tax. What the rule proposes is cut if the level changes there
    by at least 5 %, and by more than the later blocks' own scatter explains (two-sided t, 1 %). The t takes
    blocks as independent: a drift that lasts for several blocks is sometimes cut too, which costs data only.
    """
    blocks, series = _by_block(levels)
    if len(series) < LEAST_BLOCKS:
        return Cut((), f"{len(series)} blocks are too few to find a warm-up ({LEAST_BLOCKS} are needed): none cut")
    cut = mser(series)
    change = math.expm1(series[:cut].mean() - series[cut:].mean()) if cut else 0.0
    if not cut or abs(change) < LEAST_CHANGE or not _beyond_scatter(series, cut):
        return Cut((), "steady from the first block on: none cut")
    text = f"the first {cut} of {len(series)} blocks ran {abs(change):.0%} {'slower' if change > 0 else 'faster'}: cut"
    if cut == len(series) // 2:
        text += "; the level may not be steady yet: add blocks or warm-up requests"
    return Cut(tuple(blocks[:cut]), text)


def mser(series: npt.ArrayLike) -> int:
    """White's rule: the d up to half of n that minimises sum((x[d:] - mean(x[d:]))^2) / (n - d)^2.

    The smallest one if several do. White 1997; White, Cobb & Spratt 2000 (Winter Simulation Conference).

    Args:
        series: shape (n,), in time order, any unit.

    Raises:
        ValueError: empty or not one-dimensional.
    """
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"series must be one-dimensional and not empty, has shape {x.shape}")
    return int(np.argmin([x[d:].var() / (len(x) - d) for d in range(len(x) // 2 + 1)]))


def _by_block(levels: Sequence[TrialLevel]) -> tuple[list[int], Array]:
    """Blocks in time order, and each one's mean distance from its arms' medians (log scale)."""
    known = [(t, t.level) for t in sorted(levels, key=lambda t: t.started_ns) if t.level is not None]
    usual = {arm: float(np.median([level for t, level in known if t.arm == arm])) for arm in {t.arm for t, _ in known}}
    distances: dict[int, list[float]] = {}
    for trial, level in known:
        distances.setdefault(trial.block, []).append(level - usual[trial.arm])
    return list(distances), np.array([np.mean(found) for found in distances.values()])


def _beyond_scatter(series: Array, cut: int) -> bool:
    """Whether the change at `cut` exceeds what the scatter of the later blocks explains."""
    later = series[cut:]
    error = float(later.std(ddof=1)) * math.sqrt(1 / cut + 1 / len(later))
    limit = t_quantile(1 - (1 - _LEVEL_OF_TEST) / 2, len(later) - 1) * error
    return bool(abs(series[:cut].mean() - later.mean()) > limit)
