"""When a result must not be believed: each rule that a run broke, with the figures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from profiler.analysis.columns import Bools, Ints, ints
from profiler.analysis.stats import P99_MIN_REQUESTS, quantile
from profiler.records.record import UNFINISHED, Outcome
from profiler.records.store import StoredTrial
from profiler.scenario import BASELINE

COLUMNS = ("index", "scheduled_ns", "sent_ns", "first_ns", "output_tokens", "finish_reason", "outcome")
"""The columns that `facts_of` reads."""
LAG_LIMIT_MS = 1.0
LAG_SHARE_OF_TAX = 0.1
LENGTH_RATIO = (0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that an arm broke. `invalid`: its result must not be used, and `text` begins with INVALID."""

    rule: str
    arm: str
    text: str
    invalid: bool


@dataclass(frozen=True)
class TrialFacts:
    """What the rules need of a trial. `lag_ms` is (requests,); `whole`, `tokens` are of the answers in full."""

    arm: str
    block: int
    lag_ms: npt.NDArray[np.float64]
    whole: Ints
    tokens: Ints
    answered: int
    failed: int
    natural: bool
    throttled: bool


def findings(
    trials: Sequence[StoredTrial], claimed_tax_ms: Mapping[tuple[str, str], float], *, open_loop: bool
) -> tuple[Finding, ...]:
    """The rules that a run broke; empty if it may be believed.

    Args:
        trials: the run's trials, or those of its steady part.
        claimed_tax_ms: each tax that is claimed to be one, ms, by arm and figure ("ttft_ms.mean", "e2el_ms.p99").
        open_loop: whether requests were due at given times: a late one then breaks the load itself.
    """
    return findings_of([facts_of(trial) for trial in trials], claimed_tax_ms, open_loop=open_loop)


def facts_of(trial: StoredTrial) -> TrialFacts:
    """Reduce a trial to what the rules need."""
    table = trial.table
    whole = delivered_in_full(table)
    return TrialFacts(
        arm=trial.info.arm,
        block=trial.info.block,
        lag_ms=(ints(table, "sent_ns") - ints(table, "scheduled_ns")) / 1e6,
        whole=ints(table, "index")[whole],
        tokens=ints(table, "output_tokens")[whole],
        answered=int(np.count_nonzero(ints(table, "first_ns"))),
        failed=int(np.count_nonzero(_is(table, "outcome", Outcome.ERROR.value))),
        natural=bool(_is(table, "finish_reason", "stop").any()),
        throttled=trial.info.readings.throttled is True,
    )


def findings_of(
    facts: Sequence[TrialFacts], claimed_tax_ms: Mapping[tuple[str, str], float], *, open_loop: bool
) -> tuple[Finding, ...]:
    """`findings`, from trials that have been reduced."""
    by_arm: dict[str, list[TrialFacts]] = {}
    for trial in facts:
        by_arm.setdefault(trial.arm, []).append(trial)
    baseline = by_arm.get(BASELINE, [])
    found: list[Finding] = []
    for arm, mine in by_arm.items():
        claimed = {figure: tax for (name, figure), tax in claimed_tax_ms.items() if name == arm}
        found += _late(arm, mine, open_loop)
        found += _lag_against_tax(arm, [*mine, *baseline], claimed)
        found += _too_few_for_p99(arm, mine, baseline, claimed)
        found += _lengths(arm, mine, baseline) if arm != BASELINE else ()
        found += _throttled(arm, mine)
        found += _failed(arm, mine)
    return tuple(found)


def delivered_in_full(table: pa.Table) -> Bools:
    """Which requests got their whole answer: not blocked, not cut, not failed. Shape (requests,)."""
    unfinished = _is(table, "finish_reason", *UNFINISHED) | _is(table, "outcome", Outcome.ERROR.value)
    return np.asarray(~unfinished, dtype=np.bool_)


def _late(arm: str, trials: Sequence[TrialFacts], open_loop: bool) -> Iterator[Finding]:
    lag_ms = _lag_p99_ms(trials)
    if lag_ms <= LAG_LIMIT_MS:
        return
    said = f"requests were sent late (lag p99 {lag_ms:.1f} ms, at most {LAG_LIMIT_MS:g} ms)"
    if open_loop:
        text = f"INVALID: {said}: this was not the load asked for: lower the rate or free a core"
    else:
        text = f"{said}: users began late, and their response times count it: free a core"
    yield Finding("lag", arm, text, open_loop)


def _lag_against_tax(arm: str, trials: Sequence[TrialFacts], claimed: Mapping[str, float]) -> Iterator[Finding]:
    lag_ms = _lag_p99_ms(trials)
    for figure, tax_ms in claimed.items():
        # Time per token starts at the first one: the lag is not in it.
        if not figure.startswith("tpot") and lag_ms > LAG_SHARE_OF_TAX * abs(tax_ms):
            said = f"lag p99 {lag_ms:.2g} ms is over {LAG_SHARE_OF_TAX:.0%} of the tax on {figure}, {tax_ms:.3g} ms"
            yield Finding("lag-of-tax", arm, f"INVALID: {said}: free a core or lower the load", True)


def _too_few_for_p99(
    arm: str, mine: Sequence[TrialFacts], baseline: Sequence[TrialFacts], claimed: Mapping[str, float]
) -> Iterator[Finding]:
    fewest = min(sum(t.answered for t in trials) for trials in (mine, baseline))
    for figure in claimed:
        if figure.endswith("p99") and fewest < P99_MIN_REQUESTS:
            said = f"a tax on {figure} needs {P99_MIN_REQUESTS} answered requests in both arms, there are {fewest}"
            yield Finding("p99-requests", arm, f"INVALID: {said}: add blocks or requests_per_trial", True)


def _lengths(arm: str, mine: Sequence[TrialFacts], baseline: Sequence[TrialFacts]) -> Iterator[Finding]:
    ratio = _length_ratio(mine, baseline)
    if ratio is None or LENGTH_RATIO[0] <= ratio <= LENGTH_RATIO[1]:
        return
    said = f"answers are {ratio:.0%} as long as the baseline's for the same requests (90-110 %)"
    if any(t.natural for t in (*mine, *baseline)):
        yield Finding("lengths", arm, f"{said}: natural lengths, so E2EL compares unlike answers: use TPOT", False)
    else:
        yield Finding("lengths", arm, f"INVALID: {said}: the arms did not do the same work", True)


def _throttled(arm: str, trials: Sequence[TrialFacts]) -> Iterator[Finding]:
    hot = sum(t.throttled for t in trials)
    if hot:
        text = f"INVALID: the GPU throttled in {hot} of {len(trials)} trials: cool it or lower its power limit"
        yield Finding("throttled", arm, text, True)


def _failed(arm: str, trials: Sequence[TrialFacts]) -> Iterator[Finding]:
    failed = sum(t.failed for t in trials)
    if failed:
        requests = sum(len(t.lag_ms) for t in trials)
        text = f"INVALID: {failed} of {requests} requests failed: the others had the machine to themselves"
        yield Finding("failed", arm, text, True)


def _lag_p99_ms(trials: Sequence[TrialFacts]) -> float:
    lags = np.concatenate([t.lag_ms for t in trials])
    return quantile(lags, 0.99) if len(lags) else 0.0


def _length_ratio(mine: Sequence[TrialFacts], baseline: Sequence[TrialFacts]) -> float | None:
    """Tokens over the baseline's, for the requests that both answered in full."""
    theirs = {t.block: t for t in baseline}
    ours, base = 0, 0
    for trial in mine:
        if trial.block in theirs:
            other = theirs[trial.block]
            _, at, other_at = np.intersect1d(trial.whole, other.whole, assume_unique=True, return_indices=True)
            ours, base = ours + int(trial.tokens[at].sum()), base + int(other.tokens[other_at].sum())
    return ours / base if base else None


def _is(table: pa.Table, column: str, *values: str) -> Bools:
    """Where a text column has one of the values."""
    found = pc.is_in(pc.cast(table[column], pa.string()), value_set=pa.array(values, pa.string()))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)
