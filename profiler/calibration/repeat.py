"""One repeat of a modelled calibration: run it, analyse it as any run, say what was recovered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.blocks import by_block
from profiler.analysis.comparison import Estimates, taxes
from profiler.analysis.ledger import METRICS, fit_of, ledgers_of, sums_of
from profiler.analysis.metrics import TrialMetrics, trial_metrics
from profiler.analysis.stats import Interval, paired_difference, paired_log_ratio
from profiler.calibration.modelled_run import (
    BURNER,
    CHUNK_DELAY,
    DELAY,
    DOUBLER,
    NULL,
    SMALL,
    Setting,
    modelled_run,
)
from profiler.calibration.statement import Statement
from profiler.records.store import StoredTrial
from profiler.scenario import BASELINE

AA = "a/a"
Truth = Mapping[tuple[str, str], float]
"""Mean ms that a control costs, by control and metric."""


@dataclass(frozen=True)
class Repeat:
    """What one repeat found.

    `null_claimed`: an arm without guards was called a tax or a saving; `null_significant`: its p was below
    0.05 on its own, without the noise floor and Holm's correction. `found_direct` and `found_measured`: the
    small TTFT tax was found in the spans, and in the difference of whole trials.
    """

    statements: tuple[Statement, ...]
    null_claimed: bool
    null_significant: bool
    found_direct: bool
    found_measured: bool


def run_repeat(setting: Setting, truth: Truth, seed: int) -> Repeat:
    """Run the modelled calibration once with this seed."""
    trials = modelled_run(setting, seed)
    means = [trial_metrics(trial) for trial in trials]
    base, again = _figures(means, BASELINE, 0), _figures(means, BASELINE, 1)
    arms = {arm: _figures(means, arm) for arm in dict.fromkeys(t.arm for t in means)}
    floor = _compare(base, again)
    small = _compare(arms[BASELINE], arms[SMALL])["ttft_ms.mean"].absolute.interval() if SMALL in arms else None
    found = {arm: _compare(arms[BASELINE], mine) for arm, mine in arms.items() if arm != BASELINE}
    null = taxes(found, floor)[NULL]
    entries, direct = _entries(trials, setting, truth)
    aa = [Statement(AA, "measured", m, 0.0, floor[f"{m}.mean"].absolute.interval()) for m in METRICS]
    return Repeat(
        statements=(*entries, *aa),
        null_claimed=any(tax.claimed for tax in null.values()),
        null_significant=found[NULL]["e2el_ms.mean"].p_value < 0.05,
        found_direct=direct is not None and direct.low > 0,
        found_measured=small is not None and small.low > 0,
    )


def _entries(trials: Sequence[StoredTrial], setting: Setting, truth: Truth) -> tuple[list[Statement], Interval | None]:
    """The ledgers' statements, and the direct TTFT tax of the small delay."""
    sums = [found for trial in trials if (found := sums_of(trial)) is not None]
    fit, statements, small = fit_of(sums), [], None
    for metric in METRICS:
        ledgers = ledgers_of(sums, metric, fit)
        statements += [
            Statement(DELAY, "direct", metric, setting.delay_ms, ledgers[DELAY].direct),
            Statement(CHUNK_DELAY, "direct", metric, setting.chunk_delay_ms, ledgers[CHUNK_DELAY].direct),
            Statement(BURNER, "induced", metric, truth[BURNER, metric], ledgers[BURNER].induced),
            Statement(DOUBLER, "waste", metric, truth[DOUBLER, metric], ledgers[DOUBLER].waste),
        ]
        if metric == "ttft_ms" and SMALL in ledgers:
            small = ledgers[SMALL].direct
    return statements, small


Blocks = Mapping[int, Mapping[str, float | None]]


def _figures(trials: Sequence[TrialMetrics], arm: str, replicate: int | None = None) -> Blocks:
    mine = [t for t in trials if t.arm == arm and replicate in (None, t.replicate)]
    return {block: figures.values for block, figures in by_block(mine).items()}


def _compare(base: Blocks, arm: Blocks) -> dict[str, Estimates]:
    """Mean TTFT and E2EL of one arm against the baseline, as `profiler.analysis.comparison` does it."""
    found = {}
    for metric in METRICS:
        before, after = (np.array([blocks[b][f"{metric}.mean"] for b in sorted(base)], float) for blocks in (base, arm))
        found[f"{metric}.mean"] = Estimates(paired_difference(before, after), paired_log_ratio(before, after))
    return found


def noiseless_means(setting: Setting, seed: int) -> dict[tuple[str, str], float]:
    """Mean latency in ms of baseline, burner and doubler on a steady machine, by arm and metric."""
    trials = [trial_metrics(t) for t in modelled_run(setting.without_noise(), seed, only=(BURNER, DOUBLER))]
    return {
        (arm, metric): float(np.mean([t.latency_ms[metric].mean() for t in trials if t.arm == arm]))
        for arm in (BASELINE, BURNER, DOUBLER)
        for metric in METRICS
    }
