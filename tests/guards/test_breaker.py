"""A scorer that keeps failing is left alone for a while: what each check is told, in virtual time."""

import asyncio
import sys
import types
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guards.breaker import Breaker
from guards.check import Policy, check
from guards.config import InputClassifierConfig, RefusalRerankerConfig, build_guard
from guards.generation import GenerationRequest, Message, Sampling
from guards.guard import Score
from guards.input_classifier import InputClassifier
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Trace
from guards.verdict import Action, Status, Verdict
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.records.record import Outcome
from profiler.trial import outcome_of

OK, ERROR, TIMEOUT, SKIPPED = Status.OK, Status.ERROR, Status.TIMEOUT, Status.SKIPPED


@dataclass
class Scripted:
    """Does what each letter says, then answers.

    "." answers, "x" raises, "n" answers NaN, "0" nothing, "h" hangs, "c" cancels itself, "e" exits.
    """

    script: str
    asked: int = 0
    max_match_chars: int = 7

    async def score(self, subject: Subject) -> Score:
        does = self.script[self.asked : self.asked + 1] or "."
        self.asked += 1
        start_ns = now_ns()
        if does == "x":
            raise ValueError("boom")
        if does == "c":
            raise asyncio.CancelledError
        if does == "e":
            raise SystemExit(3)
        if does == "0":
            return None  # type: ignore[return-value]
        if does == "h":
            await asyncio.sleep(1e5)
        return Score(float("nan") if does == "n" else 0.0, start_ns, start_ns, now_ns())


@dataclass
class Run:
    """Checks through a breaker, one after another. It opens after 3 failures, for 10 s; the timeout is 1 s."""

    script: str
    scorer: Scripted = field(init=False)
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.scorer = Scripted(self.script)
        self.breaker = Breaker(self.scorer, 3, 10.0, 1000.0, now_ns)

    async def verdict(self, policy: Policy | None = None) -> Verdict:
        return (await check(self.breaker, Subject("text"), policy or Policy())).verdict

    async def statuses(self, checks: int) -> list[Status]:
        return [(await self.verdict()).status for _ in range(checks)]


@pytest.mark.parametrize(("fails", "status"), [(f, ERROR) for f in "xn0ce"] + [("h", TIMEOUT)])
def test_after_enough_failures_the_scorer_is_left_alone(fails: str, status: Status) -> None:
    run = Run(fails * 3)

    async def work() -> list[Status]:
        return await run.statuses(5)

    assert run_virtual(work) == [status] * 3 + [SKIPPED] * 2
    assert run.scorer.asked == 3


def test_skipped_follows_on_error_and_says_why() -> None:
    run = Run("xxx")

    async def work() -> list[Verdict]:
        await run.statuses(3)
        return [await run.verdict(Policy(on_error="open")), await run.verdict(Policy(on_error="closed"))]

    opened, closed = run_virtual(work)
    assert (opened.status, opened.action) == (SKIPPED, Action.ALLOW)
    assert (closed.status, closed.action) == (SKIPPED, Action.BLOCK)
    assert opened.detail == "breaker open after 3 failures in a row"


def test_a_success_between_failures_starts_the_count_anew() -> None:
    run = Run("xx.xx.xx.")

    async def work() -> list[Status]:
        return await run.statuses(9)

    assert SKIPPED not in run_virtual(work)


@pytest.mark.parametrize(("trial", "then"), [(".", OK), ("x", SKIPPED), ("c", SKIPPED), ("e", SKIPPED), ("0", SKIPPED)])
def test_after_the_cooldown_one_trial_decides(trial: str, then: Status) -> None:
    run = Run("xxx" + trial)

    async def work() -> list[Status]:
        await run.statuses(3)
        await asyncio.sleep(9.999)
        early = await run.statuses(1)
        await asyncio.sleep(0.001)
        await run.statuses(1)
        return [*early, *await run.statuses(1)]

    assert run_virtual(work) == [SKIPPED, then]


def test_while_the_trial_is_under_way_the_rest_are_skipped() -> None:
    run = Run("xxxh.")

    async def work() -> list[list[Status]]:
        await run.statuses(3)
        await asyncio.sleep(10)
        at_once = await asyncio.gather(*(run.verdict() for _ in range(3)))
        await asyncio.sleep(10)
        return [[v.status for v in at_once], await run.statuses(2)]

    assert run_virtual(work) == [[TIMEOUT, SKIPPED, SKIPPED], [OK, OK]]


def test_a_trial_that_was_cancelled_says_nothing_and_the_next_check_is_the_trial() -> None:
    run = Run("xxxh.")

    async def work() -> list[Status]:
        await run.statuses(3)
        await asyncio.sleep(10)
        leaving = asyncio.create_task(run.verdict())
        await asyncio.sleep(0.5)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        return await run.statuses(2)

    assert run_virtual(work) == [OK, OK]


def test_a_check_that_began_before_the_breaker_opened_does_not_close_it() -> None:
    @dataclass
    class Slow:
        asked: int = 0
        max_match_chars: int = 0

        async def score(self, subject: Subject) -> Score:
            self.asked += 1
            if self.asked > 1:
                raise ValueError("boom")
            await asyncio.sleep(5)
            return Score(0.0, now_ns(), now_ns(), now_ns())

    async def work() -> list[Status]:
        breaker = Breaker(Slow(), 2, 10.0, None, now_ns)

        async def status() -> Status:
            return (await check(breaker, Subject("text"), Policy())).verdict.status

        slow = asyncio.create_task(status())
        await asyncio.sleep(0)
        failed = [await status(), await status()]
        return [*failed, await slow, await status()]

    assert run_virtual(work) == [ERROR, ERROR, OK, SKIPPED]


def test_no_request_is_lost_and_each_is_counted() -> None:
    run = Run("xhn")

    async def work() -> list[tuple[Outcome, Status]]:
        found = []
        for i in range(5):
            request = GenerationRequest(str(i), (Message("user", "p"),), Sampling(max_tokens=2), Trace(now_ns))
            guarded = stack(ModelledEngine(now_ns=now_ns), [InputClassifier(run.breaker, Policy(on_error="closed"))])
            deltas = [d async for d in guarded.generate(request)]
            status = request.trace.verdicts[0].verdict.status
            found.append((outcome_of(deltas[-1].finish_reason or "", request.trace), status))
        return found

    statuses = [ERROR, TIMEOUT, ERROR, SKIPPED, SKIPPED]
    assert run_virtual(work) == [(Outcome.ERROR, status) for status in statuses]


@settings(max_examples=50, deadline=None)
@given(st.text(".xn", min_size=1, max_size=30), st.lists(st.integers(0, 6), min_size=40, max_size=40))
def test_the_scorer_is_never_asked_while_the_breaker_is_open(script: str, gaps_s: list[int]) -> None:
    """Against a reference that knows no event loop: count failures, skip for 10 s after the third."""

    async def work() -> list[Status]:
        run, found = Run(script), []
        for gap_s in gaps_s:
            await asyncio.sleep(gap_s)
            found += await run.statuses(1)
        return found

    expected, clock_s, failed, asked, open_until_s = [], 0, 0, 0, 0
    for gap_s in gaps_s:
        clock_s += gap_s
        if clock_s < open_until_s:
            expected.append(SKIPPED)
            continue
        bad = (script[asked : asked + 1] or ".") != "."
        asked, failed = asked + 1, failed + 1 if bad else 0
        open_until_s = clock_s + 10 if failed >= 3 else 0
        expected.append(ERROR if bad else OK)
    assert run_virtual(work) == expected


def test_a_scenario_states_it_and_by_default_there_is_none() -> None:
    stated = {"kind": "input-classifier", "scorer": {"kind": "rules"}, "timeout_ms": 50}
    plain = build_guard("mine", InputClassifierConfig.model_validate(stated), None)
    assert isinstance(plain, InputClassifier) and not isinstance(plain.scorer, Breaker)
    with_breaker = stated | {"breaker": {"failures": 2, "cooldown_s": 3}}
    guard = build_guard("mine", InputClassifierConfig.model_validate(with_breaker), None)
    assert isinstance(guard, InputClassifier) and isinstance(guard.scorer, Breaker)
    assert guard.scorer.max_match_chars == plain.scorer.max_match_chars
    RefusalRerankerConfig.model_validate({"kind": "refusal-reranker", "breaker": {}})


def test_a_breaker_from_a_scenario_keeps_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(text: str) -> float:
        await asyncio.sleep(1e5)
        return 0.0

    stated = {
        "kind": "input-classifier", "scorer": {"kind": "callable", "function": "hanging:hang"},
        "timeout_ms": 50, "breaker": {"failures": 1},
    }  # fmt: skip
    module = types.ModuleType("hanging")
    vars(module)["hang"] = hang
    monkeypatch.setitem(sys.modules, "hanging", module)
    guard = build_guard("mine", InputClassifierConfig.model_validate(stated), None)
    assert isinstance(guard, InputClassifier)

    async def work() -> list[Verdict]:
        return [(await check(guard.scorer, Subject("text"), guard.policy)).verdict for _ in range(2)]

    timed_out, skipped = run_virtual(work)
    assert (timed_out.status, timed_out.detail) == (TIMEOUT, "no answer in 50 ms")
    assert skipped.status is SKIPPED
