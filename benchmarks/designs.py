"""Other ways to estimate a tax from the same interleaved trials: what `docs/measurement.md` compares.

Where blocks are complete, the paired difference by block and the unpaired difference of arm means are one
and the same number (only their intervals differ), so they are one design here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from profiler.records.store import StoredTrial
from profiler.scenario import BASELINE

Array = npt.NDArray[np.float64]
AGAIN = "again"


@dataclass(frozen=True)
class Cell:
    """One trial: latencies in ms, shape (requests,), by request index; NaN where unanswered."""

    block: int
    label: str
    at_ns: int
    values: Array

    @property
    def mean(self) -> float:
        """Mean over the answered requests, ms."""
        return float(np.nanmean(self.values))


def cells(trials: Sequence[StoredTrial], metric: str) -> list[Cell]:
    """The trials' TTFT or E2EL; the second baseline of a block is labelled `again`."""
    end = {"ttft_ms": "first_ns", "e2el_ms": "last_ns"}[metric]
    found = []
    for trial in trials:
        ended = trial.table[end].to_numpy().astype(np.float64)
        values = (ended - trial.table["scheduled_ns"].to_numpy()) / 1e6
        label = AGAIN if trial.info.arm == BASELINE and trial.info.replicate else trial.info.arm
        found.append(
            Cell(trial.info.block, label, trial.info.started_ns, np.asarray(np.where(ended > 0, values, np.nan)))
        )
    return found


def difference_of_means(all_cells: Sequence[Cell], arm: str) -> float:
    """Mean over blocks of (arm - baseline), ms."""
    arms, bases = _by_block(all_cells, arm)
    return float(np.mean(arms - bases))


def median_of_blocks(all_cells: Sequence[Cell], arm: str) -> float:
    """Median over blocks of (arm - baseline), ms."""
    arms, bases = _by_block(all_cells, arm)
    return float(np.median(arms - bases))


def log_ratio(all_cells: Sequence[Cell], arm: str) -> float:
    """Geometric mean over blocks of arm / baseline, as ms over the mean baseline."""
    arms, bases = _by_block(all_cells, arm)
    return float(np.expm1(np.mean(np.log(arms / bases))) * bases.mean())


def request_pairs(all_cells: Sequence[Cell], arm: str) -> float:
    """The same request in the arm and in the baseline of its block: 10 %-trimmed mean of the differences, ms."""
    pairs = []
    for block in sorted({c.block for c in all_cells}):
        mine = [c.values for c in all_cells if c.block == block and c.label == arm]
        base = [c.values for c in all_cells if c.block == block and c.label in _bases(arm)]
        pairs.append(np.mean(mine, axis=0) - np.mean(base, axis=0))
    flat = np.concatenate(pairs)
    return float(stats.trim_mean(flat[np.isfinite(flat)], 0.1))


def neighbours(all_cells: Sequence[Cell], arm: str) -> float:
    """Each trial of the arm against the baseline trials next before and next after it in time, ms."""
    bases = sorted((c for c in all_cells if c.label in _bases(arm)), key=lambda c: c.at_ns)
    times, means = np.array([c.at_ns for c in bases]), np.array([c.mean for c in bases])
    taxes = []
    for cell in all_cells:
        if cell.label == arm:
            after = int(np.searchsorted(times, cell.at_ns))
            taxes.append(cell.mean - means[max(after - 1, 0) : after + 1].mean())
    return float(np.mean(taxes))


DESIGNS: dict[str, Callable[[Sequence[Cell], str], float]] = {
    "difference of means": difference_of_means,
    "median of blocks": median_of_blocks,
    "log-ratio by block": log_ratio,
    "request pairs, trimmed": request_pairs,
    "neighbours in time": neighbours,
}


def baseline_ms(all_cells: Sequence[Cell]) -> float:
    """Mean of the baseline trials' means."""
    return float(np.mean([c.mean for c in all_cells if c.label in (BASELINE, AGAIN)]))


def _bases(arm: str) -> tuple[str, ...]:
    return (BASELINE,) if arm == AGAIN else (BASELINE, AGAIN)


def _by_block(all_cells: Sequence[Cell], arm: str) -> tuple[Array, Array]:
    blocks = sorted({c.block for c in all_cells if c.label == arm})
    arms = [np.mean([c.mean for c in all_cells if c.block == b and c.label == arm]) for b in blocks]
    bases = [np.mean([c.mean for c in all_cells if c.block == b and c.label in _bases(arm)]) for b in blocks]
    return np.array(arms), np.array(bases)
