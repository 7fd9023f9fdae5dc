"""The ledger on the modelled engine: known taxes come out, each in its own entry, and the entries add up."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from guards.controls import ChunkDelay, Delay, Doubler, Null, WhileServing
from guards.guard import Guard, Score
from guards.input_classifier import InputClassifier
from guards.output_filter import OutputFilter
from guards.refusal_reranker import RefusalReranker
from guards.subject import Subject
from guards.trace import Stage
from guards.verdict import Action
from profiler.analysis.columns import Calls, Spans
from profiler.analysis.ledger import METRICS, fit_of, ledgers_of, sums_of, wastes_of
from profiler.analysis.ledger_entries import Ledger
from profiler.analysis.stages import PRIORITY, WRAPPER, stage_times_ms
from profiler.analysis.steps import Work, steps_of
from profiler.analysis.timeline import Timeline
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns
from profiler.scenario import Scenario, load_scenario
from tests.analysis.modelled_run import MACHINE, NOISE, GuardsOf, ModelledBursts, modelled_run

EXTRA = 0.6
ENTRIES = ("direct", "induced", "waste", "saved", "residual")


class Judge:
    """Takes 30 ms of virtual time; unsafe is everything, or what is even in length."""

    max_match_chars = 0

    def __init__(self, unsafe: bool = False, takes_s: float = 0.03, always: bool = False) -> None:
        self.unsafe, self.takes_s, self.always = unsafe, takes_s, always

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        await asyncio.sleep(self.takes_s)
        unsafe = self.always or (self.unsafe and len(subject.text) % 2 == 0)
        return Score(float(unsafe), start_ns, start_ns, now_ns(), p_refusal=0.0)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(Path(__file__).parents[2] / "scenarios" / "quickstart.yaml")


def arms(engine: ModelledEngine) -> Mapping[str, Sequence[Guard]]:
    return {
        "delay": [Delay(20.0)],
        "chunk": [ChunkDelay(5.0)],
        "burn": [WhileServing(ModelledBursts(engine, EXTRA))],
        "double": [Doubler()],
        "null": [Null()],
        "check": [InputClassifier(Judge())],
        "block": [InputClassifier(Judge(unsafe=True))],
        "spec": [InputClassifier(Judge(takes_s=0.5), gating="speculative")],
        "rerank": [RefusalReranker(Judge(), Judge(), n=2)],
    }


Found = dict[tuple[str, str], Ledger]


def found(scenario: Scenario, guards: GuardsOf, noisy: bool = False) -> Found:
    machine = replace(MACHINE, noise=NOISE) if noisy else MACHINE
    sums = [s for t in modelled_run(scenario, guards, blocks=3, parameters=machine) if (s := sums_of(t)) is not None]
    return {(arm, m): ledger for m in METRICS for arm, ledger in ledgers_of(sums, m).items()}


@pytest.fixture(scope="module")
def steady(scenario: Scenario) -> Found:
    return found(scenario, arms)


def estimate(ledger: Ledger, name: str) -> float:
    return float(getattr(ledger, name).estimate)


def test_the_entries_add_up_in_every_arm_with_and_without_noise(scenario: Scenario, steady: Found) -> None:
    noisy = found(scenario, arms, noisy=True)
    assert len(steady) == len(noisy) == 18
    for ledger in [*steady.values(), *noisy.values()]:
        total = sum(estimate(ledger, name) for name in ENTRIES)
        assert total == pytest.approx(ledger.measured.estimate, abs=1e-6)
        assert sum(ledger.stages_ms.values()) == pytest.approx(ledger.direct.estimate, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("arm", "ms", "stage"), [("delay", 20.0, Stage.QUEUE), ("chunk", 5.0, Stage.HOLD_BACK)])
def test_a_delay_is_direct_and_nothing_else(steady: Found, metric: str, arm: str, ms: float, stage: Stage) -> None:
    ledger = steady[arm, metric]
    assert ledger.direct.estimate == pytest.approx(ms, abs=0.01)
    assert ledger.stages_ms[stage] == pytest.approx(ms, abs=0.01)
    for name in ("waste", "saved"):
        assert estimate(ledger, name) == pytest.approx(0.0, abs=0.01)
    assert abs(ledger.residual.estimate) < 0.5


def test_a_check_before_generation_is_its_prefill(steady: Found) -> None:
    assert steady["check", "ttft_ms"].stages_ms[Stage.PREFILL] == pytest.approx(30.0, abs=0.01)


def test_speculation_costs_what_the_verdict_kept_back_and_no_more(steady: Found) -> None:
    # TTFT here is 0.1 to 0.5 s, the check takes 0.5 s from the send: only the rest of it was waited for.
    ledger = steady["spec", "ttft_ms"]
    assert 0 < ledger.direct.estimate < 450
    assert steady["spec", "e2el_ms"].direct.estimate == pytest.approx(0.0, abs=0.01)


def test_contention_is_found_and_is_all_induced(steady: Found) -> None:
    ledger = steady["burn", "e2el_ms"]
    assert ledger.contention is not None
    # A step that takes t takes t (1 + extra) beside the work: of each ms of work, extra / (1 + extra) is delay.
    assert ledger.contention.estimate == pytest.approx(EXTRA / (1 + EXTRA), abs=0.01)
    assert ledger.induced.estimate == pytest.approx(ledger.measured.estimate, abs=1.5)
    assert ledger.direct.estimate == pytest.approx(0.0, abs=0.01)


def test_contention_is_told_from_drift_where_whole_trials_cannot(scenario: Scenario) -> None:
    def burner(engine: ModelledEngine) -> Mapping[str, Sequence[Guard]]:
        return {"burn": [WhileServing(ModelledBursts(engine, EXTRA))]}

    ledger = found(scenario, burner, noisy=True)["burn", "e2el_ms"]
    assert ledger.contention is not None
    assert ledger.induced.half_width < ledger.measured.half_width
    assert ledger.contention.contains(EXTRA / (1 + EXTRA))


def test_twice_the_tokens_are_waste(steady: Found) -> None:
    ledger = steady["double", "e2el_ms"]
    assert ledger.waste.estimate == pytest.approx(ledger.measured.estimate, rel=0.01)
    assert ledger.measured.estimate > 100


def test_a_reranker_waits_wastes_and_scores(steady: Found) -> None:
    ledger = steady["rerank", "e2el_ms"]
    assert ledger.stages_ms[Stage.PREFILL] == pytest.approx(30.0, abs=0.01)
    assert ledger.waste.estimate == pytest.approx(estimate(steady["double", "e2el_ms"], "waste"), rel=0.02)
    held = steady["rerank", "ttft_ms"].stages_ms[Stage.HOLD_BACK]
    assert held > 1000


def test_blocks_save_the_engine_what_they_do_not_ask_of_it(steady: Found) -> None:
    ledger = steady["block", "e2el_ms"]
    assert ledger.saved.estimate < -100
    assert ledger.measured.estimate < 0
    assert steady["check", "e2el_ms"].saved.estimate == 0


def test_the_check_that_cuts_an_answer_is_direct_and_the_rest_is_saved(scenario: Scenario) -> None:
    cut = found(scenario, lambda engine: {"cut": [OutputFilter(Judge(always=True), chunk_tokens=8)]})
    # The engine goes on while the check runs, but nobody waits for that.
    assert cut["cut", "e2el_ms"].stages_ms[Stage.PREFILL] == pytest.approx(30.0, abs=0.01)
    assert cut["cut", "e2el_ms"].saved.estimate < -100
    # To the first token the engine was needed as ever.
    assert cut["cut", "ttft_ms"].saved.estimate == 0


def test_of_filters_that_judge_together_the_check_that_cuts_is_direct(scenario: Scenario) -> None:
    def together(engine: ModelledEngine) -> Mapping[str, Sequence[Guard]]:
        dear = OutputFilter(Judge(always=True, takes_s=0.2), chunk_tokens=8, name="dear")
        quick = OutputFilter(Judge(takes_s=0.001), chunk_tokens=1, context_tokens=0, release="first", name="quick")
        return {"cut": [dear, quick]}

    # The quick one has judged more since, which is not what the user waited for.
    assert found(scenario, together)["cut", "e2el_ms"].direct.estimate == pytest.approx(200.0, abs=0.01)


def test_text_that_two_filters_hold_is_held_back_once(scenario: Scenario) -> None:
    def held(*filters: OutputFilter) -> float:
        ledger = found(scenario, lambda engine: {"held": filters})["held", "ttft_ms"]
        assert sum(ledger.stages_ms.values()) == pytest.approx(ledger.direct.estimate, abs=1e-6)
        return ledger.direct.estimate

    slow, quick = (OutputFilter(Judge(), chunk_tokens=n, name=f"{n}") for n in (12, 4))
    assert held(quick) < held(slow)
    # Text goes out when the slower of them has passed it, as if it were alone.
    assert held(quick, slow) == pytest.approx(held(slow), abs=0.01)


def test_a_guard_that_records_nothing_is_told_by_difference(steady: Found) -> None:
    ledger = steady["null", "e2el_ms"]
    assert ledger.by_difference
    assert ledger.residual.estimate == 0
    assert not steady["check", "e2el_ms"].by_difference


def test_waste_counts_the_tokens_that_nobody_got(scenario: Scenario) -> None:
    sums = [s for t in modelled_run(scenario, arms, blocks=2) if (s := sums_of(t)) is not None]
    wastes = wastes_of(sums)
    delivered = 2 * scenario.requests_per_trial * scenario.output.max_tokens
    assert (wastes["double"].tokens, wastes["double"].generated_tokens) == (delivered, 2 * delivered)
    assert wastes["null"].tokens == wastes["null"].saved_tokens == 0
    assert wastes["block"].saved_tokens > 0
    assert (wastes["double"].engine_s or 0) > 1
    assert wastes["double"].energy_j is None


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 90), st.integers(1, 60), st.integers(0, len(PRIORITY) - 1)),
        max_size=12,
    )
)
@settings(max_examples=50, deadline=None)
def test_stages_never_overlap_and_fill_the_direct_time(spans: list[tuple[int, int, int, int]]) -> None:
    sent = np.zeros(3, dtype=np.int64)
    line = Timeline(np.ones(3, dtype=np.bool_), sent, sent, sent + 40, sent + 60, sent + 100)
    columns = np.array(spans, dtype=np.int64).reshape(-1, 4)
    table = Spans(
        columns[:, 0],
        columns[:, 1],
        columns[:, 1] + columns[:, 2],
        np.ones(len(columns), dtype=np.bool_),
        np.zeros(len(columns), dtype=np.int64),
        columns[:, 3],
        ("g",),
        tuple(stage.value for stage in PRIORITY),
    )
    times = stage_times_ms(line, table)
    for request in range(3):
        for position, stage in enumerate(PRIORITY):
            # The slow way: nanosecond by nanosecond.
            mine = [
                moment
                for moment in [*range(40), *range(60, 100)]
                if min((s for r, a, n, s in spans if r == request and a <= moment < a + n), default=99) == position
            ]
            assert times[stage][request] * 1e6 == pytest.approx(len(mine), abs=1e-6)
        assert times[WRAPPER][request] >= -1e-9


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=8), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_work_of_one_guard_at_the_same_time_counts_once(bursts: list[tuple[int, int]], start: int) -> None:
    begin = np.array([b for b, _ in bursts], dtype=np.int64)
    n = len(bursts)
    zeros = np.zeros(n, dtype=np.int64)
    lengths = np.array([length for _, length in bursts], dtype=np.int64)
    table = Spans(zeros, begin, begin + lengths, zeros == 1, zeros, zeros, ("g",), (Stage.WORK.value,))
    covered = sum(any(b <= t < b + k for b, k in bursts) for t in range(start, start + 20))
    window = np.array([start]), np.array([start + 20])
    assert Work.of(table).between(*window)[0] * 1e6 == pytest.approx(covered, abs=1e-6)


def test_steps_that_are_long_by_chance_are_not_taken_for_slowed(scenario: Scenario) -> None:
    # They meet more of the bursts; plain least squares finds about half as much again.
    def burner(engine: ModelledEngine) -> Mapping[str, Sequence[Guard]]:
        return {"burn": [WhileServing(ModelledBursts(engine, EXTRA))]}

    jittery, found = replace(MACHINE, noise=replace(NOISE, jitter_spread=0.4)), []
    for seed in (1, 2, 3):
        trials = modelled_run(scenario, burner, blocks=16, parameters=jittery, seed=seed)
        ledger = ledgers_of([s for t in trials if (s := sums_of(t)) is not None], "e2el_ms")["burn"]
        assert ledger.contention is not None
        found.append(ledger.contention.estimate)
    assert np.mean(found) == pytest.approx(EXTRA / (1 + EXTRA), abs=0.1)


def test_the_load_of_a_steady_engine_is_numpys_least_squares(scenario: Scenario) -> None:
    trials = modelled_run(scenario, lambda engine: {"rerank": [RefusalReranker(Judge(), Judge(), n=2)]}, blocks=2)
    sums = [s for t in trials if (s := sums_of(t)) is not None]
    steps = [s.steps.steps for s in sums if s.steps is not None]
    rows, durations = np.vstack([one.load for one in steps]), np.concatenate([one.duration_ms for one in steps])
    fit = fit_of(sums)
    assert fit is not None
    independent = np.linalg.lstsq(rows, durations, rcond=None)[0]
    assert fit.without(None).load_ms == pytest.approx(independent, abs=1e-3)


def test_the_measured_interval_is_students_t_of_the_blocks(scenario: Scenario) -> None:
    trials = modelled_run(scenario, lambda engine: {"delay": [Delay(20.0)]}, parameters=replace(MACHINE, noise=NOISE))
    sums = [s for t in trials if (s := sums_of(t)) is not None]

    def mean(block: int, arm: str) -> float:
        return float(np.mean([s.latency_ms["e2el_ms"] for s in sums if (s.block, s.arm) == (block, arm)]))

    differences = [mean(block, "delay") - mean(block, "none") for block in range(6)]
    low, high = stats.t.interval(0.95, 5, np.mean(differences), stats.sem(differences))
    measured = ledgers_of(sums, "e2el_ms")["delay"].measured
    assert (measured.low, measured.high) == pytest.approx((low, high), abs=1e-6)


def test_steps_that_reach_the_reader_in_one_stretch_are_told_apart() -> None:
    # 64 sequences, a step every 5 ms, their tokens read 60 us apart: no gap between the bunches is left.
    sequences, count = 64, 50
    when = (np.arange(count)[None, :] * 5_000_000 + np.arange(sequences)[:, None] * 60_000 + 10**9).ravel()
    call = np.repeat(np.arange(sequences), count)
    first, last = when.reshape(sequences, count)[:, 0], when.reshape(sequences, count)[:, -1]
    ones, each = np.ones(sequences, dtype=np.int64), np.full(sequences, count)
    sent = np.full(sequences, 10**9 - 5_000_000)
    calls = Calls(np.arange(sequences), sent, first, last, last, each, ones, ones, ones == 0, call, when, when // when)
    none = np.zeros(0, dtype=np.int64)
    steps = steps_of(calls, Spans(none, none, none, none == 1, none, none, (), ()), each)
    assert steps is not None
    assert len(steps.end_ns) == count
    assert steps.duration_ms[1:].mean() == pytest.approx(5.0, rel=0.02)


def test_a_batch_that_two_guards_share_is_worked_off_once() -> None:
    start = np.array([0, 0, 50], dtype=np.int64)
    zeros = np.zeros(3, dtype=np.int64)
    guards = np.array([0, 1, 1], dtype=np.int64)
    table = Spans(zeros, start, start + 20, zeros == 0, guards, zeros, ("a", "b"), (Stage.PREFILL.value,))
    assert Work.of(table).between(np.array([0]), np.array([100]))[0] * 1e6 == pytest.approx(40.0)


class Rewriter(Judge):
    """Has every prompt put in other words of the same length."""

    async def score(self, subject: Subject) -> Score:
        found = await super().score(subject)
        return replace(found, advice=Action.REWRITE, rewritten=subject.text.upper())


def test_generation_that_a_rewrite_starts_again_was_not_waited_for(scenario: Scenario) -> None:
    ledger = found(scenario, lambda _: {"again": [InputClassifier(Rewriter(takes_s=0.5), gating="speculative")]})
    for metric in METRICS:
        one = ledger["again", metric]
        assert one.direct.estimate == pytest.approx(500.0, abs=0.01)
        assert one.stages_ms[Stage.PREFILL] == pytest.approx(500.0, abs=0.01)
    # The first call's tokens were for nobody.
    assert ledger["again", "e2el_ms"].waste.estimate > 0
