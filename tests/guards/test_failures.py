"""Guards that fail, in every way, under every gating: no request is lost, each failure has its own heading, and the
generator does for the other requests what it would have done anyway. On the modelled engine, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from guards.breaker import Breaker
from guards.check import Policy, check
from guards.generation import Delta, EngineDied, GenerationRequest, Generator, Message, Sampling
from guards.guard import Guard, Score, Scorer
from guards.input_classifier import REFUSAL, InputClassifier, refusal_delta
from guards.output_filter import OutputFilter
from guards.own import OwnGuard
from guards.parallel import Parallel
from guards.refusal_reranker import RefusalReranker
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Trace
from guards.verdict import Action, Status
from profiler.analysis.guard_checks import GuardChecks, guard_checks
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.load import quiet_gc
from profiler.prompts import Prompt
from profiler.records.record import Outcome, RequestRecord, TrialInfo
from profiler.records.store import as_table
from profiler.scenario import Scenario, load_scenario
from profiler.trial import Workload, outcome_of, run_trial
from tests.guards.failing import (
    FAIL,
    FAILURES,
    TIMEOUT_MS,
    Failing,
    Panic,
    answers_late,
    hangs,
    raises,
    turns_the_cancel_into_an_error,
)

REQUESTS, BAD = 5, 2


class Safe:
    """Finds everything safe, at once."""

    max_match_chars = 0

    async def score(self, subject: Subject) -> Score:
        return Score(0.0, now_ns(), now_ns(), now_ns(), p_refusal=0.0)


@dataclass(frozen=True)
class Own:
    """A guard as a user would write it, with a check of its own."""

    scorer: Scorer
    policy: Policy
    name: str = "own"

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        found = await check(self.scorer, request.prompt, self.policy)
        request.trace.judged(self.name, found.verdict)
        if found.verdict.action is Action.BLOCK:
            yield refusal_delta(request, "no")
            return
        async for delta in inner.generate(request):
            yield delta


def parallel(scorer: Scorer, policy: Policy) -> Guard:
    return Parallel((InputClassifier(scorer, policy, name="bad"), InputClassifier(Safe(), policy, name="good")))


Kind = Callable[[Scorer, Policy], Guard]
KINDS: dict[str, Kind] = {
    "blocking": lambda scorer, policy: InputClassifier(scorer, policy),
    "speculative": lambda scorer, policy: InputClassifier(scorer, policy, "speculative"),
    "monitor": lambda scorer, policy: InputClassifier(scorer, policy, "monitor"),
    "parallel": parallel,
    "release after": lambda scorer, policy: OutputFilter(scorer, policy, chunk_tokens=8),
    "release first": lambda scorer, policy: OutputFilter(scorer, policy, chunk_tokens=8, release="first"),
    "best-of-n": lambda scorer, policy: RefusalReranker(scorer, Safe(), n=2, policy=policy),
    "sequential": lambda scorer, policy: RefusalReranker(scorer, Safe(), n=2, policy=policy, mode="sequential"),
    "harm": lambda scorer, policy: RefusalReranker(Safe(), scorer, n=2, policy=policy),
    "own": lambda scorer, policy: OwnGuard(Own(scorer, policy), "own"),
}
# They judge, and decide nothing by themselves.
ADVISERS = ("monitor", "harm")


@pytest.fixture(autouse=True, scope="module")
def _collect_once() -> Iterator[None]:
    """Each of hundreds of trials would collect anew."""
    with quiet_gc():
        yield


@cache
def scenario() -> Scenario:
    stated = load_scenario(Path(__file__).parents[2] / "scenarios" / "quickstart.yaml")
    return stated.model_copy(update={"keep_text": True})


@dataclass(frozen=True)
class Ran:
    """A trial of some requests, of which one asks the scorers to fail."""

    records: tuple[RequestRecord, ...]
    checks: GuardChecks

    @property
    def others(self) -> list[tuple[str, str, str]]:
        return [(r.outcome, r.finish_reason, r.answer) for r in self.records if r.index != BAD]

    @property
    def failures(self) -> dict[str, int]:
        """Checks by status, but the good ones."""
        statuses = [s for s in Status if s is not Status.OK]
        found = {s.value: sum(counts[s] for counts in self.checks.values()) for s in statuses}
        return {status: n for status, n in found.items() if n}


def workload() -> Workload:
    prompts = (Prompt(f"p{i}", "c", "benign", FAIL if i == BAD else "please") for i in range(REQUESTS))
    return Workload(scenario(), tuple(prompts), 0)


async def assert_nothing_goes_on(engine: ModelledEngine) -> None:
    assert asyncio.all_tasks() == {asyncio.current_task()}
    counters = engine.counters()
    assert counters.running == counters.waiting == 0
    await asyncio.sleep(1000)
    assert engine.counters().generation_tokens == counters.generation_tokens


def run(guard: Callable[[], Guard]) -> Ran:
    async def work() -> Ran:
        engine, made = ModelledEngine(now_ns=now_ns), guard()
        found = await run_trial(stack(Tap(engine), [made]), workload(), "t", watch=lambda record: None, now_ns=now_ns)
        await assert_nothing_goes_on(engine)
        table = as_table(TrialInfo(0, 0, "arm", 0, found.started_ns, found.ended_ns), found.records)
        return Ran(found.records, guard_checks(table))

    return run_virtual(work)


@cache
def healthy(kind: str) -> Ran:
    return run(lambda: KINDS[kind](Safe(), Policy()))


@pytest.mark.parametrize("on_error", ["open", "closed"])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_scorer_costs_its_own_request_and_no_other(kind: str, failure: str, on_error: Any) -> None:
    status, fail = FAILURES[failure]
    ran = run(lambda: KINDS[kind](Failing(fail), Policy(on_error=on_error, timeout_ms=TIMEOUT_MS)))
    assert len(ran.records) == REQUESTS
    assert ran.others == healthy(kind).others
    bad, as_ever = ran.records[BAD], healthy(kind).records[BAD]
    if on_error == "open" or kind in ADVISERS:
        assert (bad.outcome, bad.answer) == (as_ever.outcome, as_ever.answer)
    else:
        assert bad.outcome is Outcome.ERROR
        assert as_ever.answer not in bad.answer
    assert set(ran.failures) == {status}
    assert bad.error == ""


@pytest.mark.parametrize("on_error", ["open", "closed"])
@pytest.mark.parametrize("kind", KINDS)
def test_behind_an_open_breaker_every_check_is_skipped_and_counted_so(kind: str, on_error: Any) -> None:
    def guard() -> Guard:
        breaker = Breaker(Failing(raises(ValueError("boom"))), failures=1, cooldown_s=1e6, now_ns=now_ns)
        return KINDS[kind](breaker, Policy(on_error=on_error))

    ran = run(guard)
    # The request that opens it ends among the others; those that came before are judged.
    judged = {r.index for r in ran.records if all(v.verdict.status is Status.OK for v in r.verdicts)}
    assert set(ran.failures) <= {Status.ERROR, Status.SKIPPED} and ran.failures[Status.ERROR] >= 1
    for record, as_ever in zip(ran.records, healthy(kind).records, strict=True):
        if on_error == "open" or kind in ADVISERS or record.index in judged:
            assert (record.outcome, record.answer) == (as_ever.outcome, as_ever.answer)
        else:
            assert record.outcome is Outcome.ERROR


def test_a_monitor_that_would_have_blocked_does_not_make_a_judgement_of_anothers_failure() -> None:
    class Unsafe(Safe):
        async def score(self, subject: Subject) -> Score:
            return Score(1.0, now_ns(), now_ns(), now_ns())

    async def work() -> tuple[Outcome, list[tuple[str, Action]]]:
        monitor = InputClassifier(Unsafe(), gating="monitor", name="monitor")
        failing = OutputFilter(Failing(raises(ValueError("boom"))), Policy(on_error="closed"))
        request = GenerationRequest("a", (Message("user", FAIL),), Sampling(), Trace(now_ns))
        deltas = [d async for d in stack(ModelledEngine(now_ns=now_ns), [monitor, failing]).generate(request)]
        found = [(v.guard, v.verdict.action) for v in request.trace.verdicts]
        return outcome_of(deltas[-1].finish_reason or "", request.trace), found

    outcome, verdicts = run_virtual(work)
    assert outcome is Outcome.ERROR
    assert ("monitor", Action.FLAG) in verdicts


@pytest.mark.parametrize("after_s", [0.001, 0.06, 0.2])
@pytest.mark.parametrize("fail", [hangs, answers_late, turns_the_cancel_into_an_error])
@pytest.mark.parametrize("kind", KINDS)
def test_a_user_who_leaves_a_guard_that_hangs_leaves_nothing_behind(kind: str, fail: Any, after_s: float) -> None:
    async def work() -> None:
        engine = ModelledEngine(now_ns=now_ns)
        generator = stack(Tap(engine), [KINDS[kind](Failing(fail), Policy())])
        sampling = Sampling(max_tokens=2000, ignore_eos=True)
        leaving = GenerationRequest("a", (Message("user", FAIL),), sampling, Trace(now_ns))
        staying = GenerationRequest("b", (Message("user", "please"),), replace(sampling, max_tokens=30), Trace(now_ns))
        other = asyncio.create_task(text_of(generator, staying))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(after_s):
                await text_of(generator, leaving)
        assert len((await other).split()) == 30
        await assert_nothing_goes_on(engine)

    run_virtual(work)


async def text_of(generator: Generator, request: GenerationRequest) -> str:
    async with aclosing(generator.generate(request)) as stream:  # type: ignore[type-var]
        return "".join([delta.text async for delta in stream])


# The generator dies.


@pytest.mark.parametrize("after_s", [0.001, 0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fail", [hangs, raises(ValueError("boom"))])
def test_when_the_engine_dies_the_trial_ends_whatever_the_guards_are_at(kind: str, fail: Any, after_s: float) -> None:
    async def work() -> list[RequestRecord]:
        engine, seen = ModelledEngine(now_ns=now_ns), list[RequestRecord]()
        generator = stack(Tap(engine), [KINDS[kind](Failing(fail), Policy())])
        asyncio.get_running_loop().call_later(after_s, asyncio.ensure_future, engine.close())
        with pytest.raises(EngineDied):
            await run_trial(generator, workload(), "t", watch=seen.append, now_ns=now_ns)
        await assert_nothing_goes_on(engine)
        return seen

    assert Outcome.ERROR in {record.outcome for record in run_virtual(work)}


def test_a_prompt_that_is_blocked_is_refused_though_the_engine_died_meanwhile() -> None:
    """Speculative: what was generated does not matter any more."""

    class Blocks:
        max_match_chars = 0

        async def score(self, subject: Subject) -> Score:
            await asyncio.sleep(1)
            return Score(1.0, now_ns(), now_ns(), now_ns())

    async def work() -> str:
        engine = ModelledEngine(now_ns=now_ns)
        asyncio.get_running_loop().call_later(0.05, asyncio.ensure_future, engine.close())
        request = GenerationRequest("a", (Message("user", "p"),), Sampling(), Trace(now_ns))
        return await text_of(stack(Tap(engine), [InputClassifier(Blocks(), gating="speculative")]), request)

    assert run_virtual(work) == REFUSAL


# Guards of the user's own, which fail themselves.


@dataclass(frozen=True)
class Careless:
    """Passes the first tokens on; on the prompt that asks for it, does something else then."""

    then: Callable[[GenerationRequest], Any]
    name: str = "careless"

    async def generate(self, request: GenerationRequest, inner: Generator) -> Any:
        number = 0
        async for delta in inner.generate(request):
            number += 1
            if number > 3 and FAIL in request.prompt_text:
                yield self.then(request)
            else:
                yield delta


def throws(error: BaseException) -> Callable[[GenerationRequest], Any]:
    def then(request: GenerationRequest) -> Any:
        raise error

    return then


CARELESS: dict[str, tuple[Callable[[GenerationRequest], Any], str]] = {
    "raises": (throws(KeyError("lost")), "KeyError: 'lost'"),
    "runs out of memory": (throws(MemoryError()), "MemoryError"),
    "exits": (throws(SystemExit(1)), "SystemExit: 1"),
    "panics": (throws(Panic("index")), "Panic: index"),
    "cancels itself": (throws(asyncio.CancelledError()), "CancelledError"),
    "stops": (throws(StopAsyncIteration()), "async generator raised StopAsyncIteration"),
    "yields a text": (lambda request: "hello", "yielded str, not a Delta"),
    "yields nothing": (lambda request: None, "yielded NoneType, not a Delta"),
    "yields a delta of nothing": (lambda request: Delta(None, 1, 1), "text, tokens or emitted_ns"),  # type: ignore[arg-type]
    "records no verdict": (lambda request: request.trace.judged("careless", None), "a verdict is a Verdict"),  # type: ignore[arg-type,func-returns-value]
}


@pytest.mark.parametrize("does", CARELESS)
def test_a_guard_of_the_users_that_fails_is_one_failed_request(does: str) -> None:
    then, said = CARELESS[does]
    ran = run(lambda: OwnGuard(Careless(then), "careless"))
    well = run(lambda: OwnGuard(Careless(throws(AssertionError())), "careless"))
    assert ran.others == well.others
    bad = ran.records[BAD]
    assert (bad.outcome, bad.error.startswith("guard careless: ")) == (Outcome.ERROR, True)
    assert said in bad.error
    assert [call.aborted for call in bad.engine_calls] == [True]


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (lambda: None, "NoneType"),
        (lambda: [Delta("x", 1, 1)], "list"),
        (lambda: iter([Delta("x", 1, 1)]), "list_iterator"),
    ],
)
def test_what_is_no_stream_is_one_failed_request(stream: Callable[[], Any], said: str) -> None:
    class Streamless:
        name = "odd"

        def generate(self, request: GenerationRequest, inner: Generator) -> Any:
            return stream()

    ran = run(lambda: OwnGuard(Streamless(), "odd"))
    assert {record.outcome for record in ran.records} == {Outcome.ERROR}
    assert f"generate gave {said}, not an async generator" in ran.records[0].error


def test_an_answer_without_an_end_is_no_answer() -> None:
    class Silent:
        name = "silent"

        async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
            if FAIL in request.prompt_text:
                return
            async for delta in inner.generate(request):
                yield delta

    bad = run(lambda: OwnGuard(Silent(), "silent")).records[BAD]
    assert (bad.outcome, bad.error) == (Outcome.ERROR, "guard silent: its answer ended without a finish_reason")


def test_a_guard_of_the_users_that_hangs_can_be_left() -> None:
    class Hangs:
        name = "hangs"

        async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
            async for delta in inner.generate(request):
                yield delta
                await asyncio.sleep(1e5)

    async def work() -> None:
        engine = ModelledEngine(now_ns=now_ns)
        request = GenerationRequest(
            "a", (Message("user", "p"),), Sampling(max_tokens=50, ignore_eos=True), Trace(now_ns)
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await text_of(stack(Tap(engine), [OwnGuard(Hangs(), "hangs")]), request)
        await assert_nothing_goes_on(engine)

    run_virtual(work)
