"""Input classifier round the modelled engine, in virtual time: who waits for whom, and what a failure does."""

import asyncio
from dataclasses import dataclass
from typing import Literal

import pytest

from guards.check import Policy
from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.guard import Score
from guards.input_classifier import REFUSAL, InputClassifier
from guards.refusal_reranker import RefusalReranker
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage, Trace
from guards.verdict import Status
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.records.record import Outcome
from profiler.trial import outcome_of

Gating = Literal["blocking", "speculative", "monitor"]
CHECK_NS = 2_000_000_000


@dataclass(frozen=True)
class Scripted:
    """Answers after a given time with a given probability, or fails."""

    p_unsafe: float = 0.0
    wait_s: float = CHECK_NS / 1e9
    error: Exception | None = None
    max_match_chars: int = 0

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        await asyncio.sleep(self.wait_s)
        if self.error is not None:
            raise self.error
        return Score(self.p_unsafe, start_ns, start_ns, now_ns(), p_refusal=0.0)


@dataclass(frozen=True)
class Seen:
    """What a user and the engine saw."""

    deltas: list[Delta]
    arrivals_ns: list[int]
    trace: Trace
    aborted: int
    engine_tokens: int

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.deltas[-1].finish_reason or "", self.trace)


def run(scorer: Scripted, gating: Gating, policy: Policy | None = None) -> Seen:
    async def work() -> Seen:
        engine = ModelledEngine(now_ns=now_ns)
        guard = InputClassifier(scorer, policy or Policy(), gating)
        request = GenerationRequest(
            "r", (Message("user", "p"),), Sampling(max_tokens=400, ignore_eos=True), Trace(now_ns)
        )
        deltas, arrivals_ns = [], []
        async for delta in stack(Tap(engine), [guard]).generate(request):
            deltas.append(delta)
            arrivals_ns.append(now_ns())
        counters = engine.counters()
        return Seen(deltas, arrivals_ns, request.trace, counters.aborted, counters.generation_tokens)

    return run_virtual(work)


def test_blocking_a_blocked_prompt_never_reaches_the_engine() -> None:
    seen = run(Scripted(p_unsafe=1.0), "blocking")
    assert [d.text for d in seen.deltas] == [REFUSAL]
    assert (seen.trace.engine_calls, seen.engine_tokens) == ([], 0)
    assert seen.outcome is Outcome.BLOCKED


def test_speculative_a_block_aborts_the_engine_and_releases_nothing() -> None:
    seen = run(Scripted(p_unsafe=1.0), "speculative")
    assert [d.text for d in seen.deltas] == [REFUSAL]
    assert seen.aborted == 1
    assert 0 < seen.engine_tokens < 400
    assert seen.trace.engine_calls[0].aborted


def test_speculative_releases_only_after_the_verdict_and_counts_only_what_it_kept_back() -> None:
    seen = run(Scripted(), "speculative")
    verdict_ns = seen.trace.verdicts[0].at_ns
    assert min(seen.arrivals_ns) >= verdict_ns
    (held,) = [s for s in seen.trace.spans if s.critical]
    assert held.stage is Stage.HOLD_BACK
    assert held.end_ns - held.start_ns < CHECK_NS
    assert sum(d.tokens for d in seen.deltas) == 400


def test_blocking_delays_generation_by_the_check() -> None:
    seen = run(Scripted(), "blocking")
    assert sum(s.end_ns - s.start_ns for s in seen.trace.spans if s.critical) == CHECK_NS
    assert sum(d.tokens for d in seen.deltas) == 400


def test_monitor_neither_waits_nor_blocks() -> None:
    seen = run(Scripted(p_unsafe=1.0, wait_s=0.5), "monitor")
    assert min(seen.arrivals_ns) < seen.trace.verdicts[0].at_ns
    assert sum(d.tokens for d in seen.deltas) == 400
    assert seen.outcome is Outcome.PASSED


def test_a_monitor_slower_than_the_answer_is_recorded_as_skipped() -> None:
    seen = run(Scripted(wait_s=1e5), "monitor")
    assert [v.verdict.status for v in seen.trace.verdicts] == [Status.SKIPPED]
    assert sum(d.tokens for d in seen.deltas) == 400


@pytest.mark.parametrize(
    ("scorer", "timeout_ms", "status"),
    [
        (Scripted(error=ValueError("boom")), None, Status.ERROR),
        (Scripted(p_unsafe=float("nan")), None, Status.ERROR),
        (Scripted(wait_s=1e5), 100.0, Status.TIMEOUT),
    ],
)
def test_a_failing_guard_follows_on_error_and_is_counted(
    scorer: Scripted, timeout_ms: float | None, status: Status
) -> None:
    opened = run(scorer, "blocking", Policy(on_error="open", timeout_ms=timeout_ms))
    assert opened.trace.verdicts[0].verdict.status is status
    assert (opened.outcome, sum(d.tokens for d in opened.deltas)) == (Outcome.PASSED, 400)
    closed = run(scorer, "blocking", Policy(on_error="closed", timeout_ms=timeout_ms))
    assert [d.text for d in closed.deltas] == [REFUSAL]
    assert closed.outcome is Outcome.ERROR
    assert closed.engine_tokens == 0


def rerank(answers: list[str], p_unsafe: dict[str, float]) -> tuple[list[Delta], Trace]:
    class ByText:
        max_match_chars = 0

        async def score(self, subject: Subject) -> Score:
            return Score(p_unsafe.get(subject.text, 0.0), now_ns(), now_ns(), now_ns(), p_refusal=0.0)

    async def work() -> tuple[list[Delta], Trace]:
        engine = ModelledEngine(now_ns=now_ns, script=lambda request, candidate: answers[candidate])
        guard = RefusalReranker(ByText(), ByText(), n=len(answers))
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(max_tokens=9), Trace(now_ns))
        return [d async for d in stack(Tap(engine), [guard]).generate(request)], request.trace

    return run_virtual(work)


def test_the_reranker_takes_the_safest_candidate_whole() -> None:
    deltas, trace = rerank(["one two", "three four five"], {"one two": 0.4})
    assert [d.text.strip() for d in deltas] == ["three four five"]
    assert deltas[0].tokens == 3
    assert trace.chosen_candidate == 1


def test_the_reranker_refuses_when_every_candidate_is_over_the_threshold() -> None:
    deltas, _ = rerank(["one two", "three four"], {"one two": 0.9, "three four": 0.8})
    assert [(d.text, d.finish_reason) for d in deltas] == [(REFUSAL, "blocked")]
