"""Many repeats of the modelled calibration: coverage, false positives, power.

The truth of the delays is what they draw from. The truth of the burner and of the doubler is what they add
to the mean latency of the same requests on a steady machine, where nothing else differs, times the mean
slowness that the noise brings: no part of the ledger has a hand in it.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TypeVar

import numpy as np

from profiler.analysis.ledger import METRICS
from profiler.analysis.stats import Interval, proportion
from profiler.calibration.modelled_run import BURNER, DOUBLER, Setting
from profiler.calibration.repeat import Repeat, Truth, noiseless_means, run_repeat
from profiler.calibration.statement import Statement
from profiler.scenario import BASELINE

# Seeds of the truth's runs, far from those of the repeats.
_TRUTH_SEEDS = 1_000_000
_SMALL = 0.05
T = TypeVar("T")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pooled:
    """One figure of one control over all repeats: truth, mean estimate, mean half-width, coverage."""

    control: str
    entry: str
    metric: str
    injected: float
    recovered: float
    half_width: float
    coverage: Interval


@dataclass(frozen=True)
class ModelledCalibration:
    """Shares of repeats with their Clopper-Pearson intervals. `coverage` pools all controls' statements.

    The statements of one repeat share its machine weather, so the pooled interval is a little too narrow.
    """

    repeats: int
    blocks: int
    baseline_ttft_ms: float
    controls: tuple[Pooled, ...]
    coverage: Interval
    false_positives: Interval
    null_significant: Interval
    power_direct: Interval
    power_measured: Interval


def calibrate_modelled(setting: Setting, repeats: int, workers: int, progress: Progress) -> ModelledCalibration:
    """Find the truth, then repeat the calibration on fresh seeds, over `workers` processes.

    Raises:
        ValueError: no repeats.
    """
    if repeats < 1:
        raise ValueError("needs one repeat or more")
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=context) as executor:
        seeds = range(_TRUTH_SEEDS, _TRUTH_SEEDS + repeats)
        tasks = executor.map(partial(noiseless_means, setting), seeds, chunksize=2)
        truth, ttft_ms = _truth(list(_told(tasks, "truth", repeats, progress)), setting)
        powered = replace(setting, small_ms=_SMALL * ttft_ms)
        found = executor.map(partial(run_repeat, powered, truth), range(1, repeats + 1), chunksize=2)
        done = list(_told(found, "repeat", repeats, progress))
    return pool(done, setting.scenario.blocks, ttft_ms)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Workers that start inside use one thread for their linear algebra: many would only get in each other's way."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    mine = [name for name in names if name not in os.environ]
    os.environ.update(dict.fromkeys(mine, "1"))
    try:
        yield
    finally:
        for name in mine:
            del os.environ[name]


def _told(results: Iterator[T], what: str, total: int, progress: Progress) -> Iterator[T]:
    for number, result in zip(count(1), results):
        progress(what, number, total)
        yield result


def _truth(means: Sequence[Mapping[tuple[str, str], float]], setting: Setting) -> tuple[Truth, float]:
    """What burner and doubler cost in ms, and the baseline's TTFT, ms."""
    average = {key: float(np.mean([one[key] for one in means])) * setting.slowness for key in means[0]}
    costs = {(arm, m): average[arm, m] - average[BASELINE, m] for arm in (BURNER, DOUBLER) for m in METRICS}
    return costs, average[BASELINE, "ttft_ms"]


def pool(done: Sequence[Repeat], blocks: int, ttft_ms: float) -> ModelledCalibration:
    """Every control's statements over the repeats, and the shares of repeats."""
    statements: dict[tuple[str, str, str], list[Statement]] = {}
    for statement in (s for repeat in done for s in repeat.statements):
        statements.setdefault(statement.key, []).append(statement)
    every = [s for found in statements.values() for s in found]

    def share(of: Callable[[Repeat], bool]) -> Interval:
        return proportion(sum(map(of, done)), len(done))

    return ModelledCalibration(
        repeats=len(done),
        blocks=blocks,
        baseline_ttft_ms=ttft_ms,
        controls=tuple(_pooled(found) for found in statements.values()),
        coverage=_coverage(every),
        false_positives=share(lambda r: r.null_claimed),
        null_significant=share(lambda r: r.null_significant),
        power_direct=share(lambda r: r.found_direct),
        power_measured=share(lambda r: r.found_measured),
    )


def _pooled(found: Sequence[Statement]) -> Pooled:
    first = found[0]
    return Pooled(
        *first.key,
        injected=first.injected or 0.0,
        recovered=float(np.mean([s.recovered.estimate for s in found])),
        half_width=float(np.mean([s.recovered.half_width for s in found])),
        coverage=_coverage(found),
    )


def _coverage(found: Sequence[Statement]) -> Interval:
    return proportion(sum(s.covered is True for s in found), len(found))
