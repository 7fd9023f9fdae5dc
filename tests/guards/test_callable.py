"""A function of the user's as a scorer: what it may return, where it runs, what time is noted."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guards.check import Check, Policy, check
from guards.config import InputClassifierConfig, build_guard
from guards.generation import GenerationRequest, Message, Sampling
from guards.loading import GuardConfigError
from guards.scorers.callable import CallableScorer
from guards.scorers.threads import DaemonThreads
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Trace
from guards.verdict import Action, Status, TextSpan
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns, run_virtual

KEYS = ("p_unsafe", "p_refusal", "categories", "spans", "action", "rewritten", "detail")
TURNS = (Message("system", "be kind"), Message("user", "hello"), Message("assistant", "hi"), Message("user", "more"))


def checked(function: Any, policy: Policy | None = None) -> Check:
    return asyncio.run(check(CallableScorer(function), Subject("some text"), policy or Policy()))


def test_a_number_is_p_unsafe() -> None:
    found = checked(lambda text: 0.75)
    assert (found.verdict.action, found.verdict.p_unsafe, found.verdict.status) == (Action.BLOCK, 0.75, Status.OK)


def test_a_mapping_may_say_more() -> None:
    more = {"p_unsafe": 1, "p_refusal": 0.25, "categories": ["a"], "spans": [(0, 4, "a"), [5, 9]]}
    verdict = checked(lambda text: more).verdict
    assert (verdict.p_unsafe, verdict.p_refusal, verdict.categories) == (1.0, 0.25, ("a",))
    assert verdict.spans == (TextSpan(0, 4, "a"), TextSpan(5, 9, ""))


@pytest.mark.parametrize(
    ("returned", "action"),
    [
        ({"action": "allow", "p_unsafe": 0.9}, Action.ALLOW),
        ({"action": "block"}, Action.BLOCK),
        ({"action": "flag", "p_unsafe": 0.9}, Action.FLAG),
        ({"action": Action.REWRITE, "rewritten": "better"}, Action.REWRITE),
        ({"action": "rewrite"}, Action.BLOCK),
        ({"action": "redact", "spans": [(0, 4)]}, Action.REDACT),
        ({"action": None, "p_unsafe": 0.9}, Action.BLOCK),
    ],
)
def test_an_action_of_the_functions_own_goes_before_the_threshold(returned: Any, action: Action) -> None:
    found = checked(lambda text: {**returned, "detail": "because"})
    assert (found.verdict.action, found.verdict.status, found.verdict.detail) == (action, Status.OK, "because")
    assert found.score is not None and found.score.rewritten == returned.get("rewritten")


def test_a_function_is_given_the_turns_and_the_side_where_it_asks_for_them() -> None:
    seen: list[Any] = []

    def sync(text: str, side: str, *, conversation: list[dict[str, str]]) -> float:
        seen.append((text, side, conversation))
        return 0.0

    async def asks_for_turns(text: str, conversation: list[dict[str, str]] | None = None) -> float:
        seen.append((text, conversation))
        return 0.0

    turns = [{"role": turn.role, "content": turn.content} for turn in TURNS]
    asyncio.run(CallableScorer(sync).score(Subject("hello\nmore", "prompt", TURNS)))
    asyncio.run(CallableScorer(asks_for_turns).score(Subject("hello\nmore", "prompt", TURNS)))
    assert seen == [("hello\nmore", "prompt", turns), ("hello\nmore", turns)]


def test_without_a_conversation_the_text_is_the_only_turn() -> None:
    def function(text: str, conversation: list[dict[str, str]], side: str) -> dict[str, Any]:
        return {"action": "allow", "detail": f"{side}: {conversation}"}

    score = asyncio.run(CallableScorer(function).score(Subject("an answer", "answer")))
    assert score.detail == "answer: [{'role': 'assistant', 'content': 'an answer'}]"


@pytest.mark.parametrize("function", [lambda side: float(side == "some text"), lambda text, **more: float(len(more))])
def test_only_named_parameters_after_the_text_are_filled(function: Any) -> None:
    assert checked(function).verdict.p_unsafe == (1.0 if function("some text") else 0.0)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "the result is NoneType None"),
        (True, "the result is bool True"),
        ("0.2", "the result is str '0.2'"),
        (float("nan"), "p_unsafe is nan"),
        (1.5, "p_unsafe is 1.5"),
        ({}, "p_unsafe is missing"),
        ({"p_unsafe": 0.1, "unsafe": True}, "unknown key unsafe"),
        ({"rewritten": "better"}, "p_unsafe is missing"),
        ({"action": None}, "p_unsafe is missing"),
        ({"p_unsafe": 0.1, "action": "deny"}, "action is str 'deny', not one of allow, block, redact, rewrite, flag"),
        ({"p_unsafe": 0.1, "action": ["block"]}, "action is list ['block']"),
        ({"p_unsafe": 0.1, "action": "rewrite", "rewritten": 3}, "rewritten is int 3, not a text"),
        ({"p_unsafe": 0.1, "detail": b"x"}, "detail is bytes b'x', not a text"),
        ({"p_unsafe": 0.1, "p_refusal": float("inf")}, "p_refusal is inf"),
        ({"p_unsafe": 0.1, "categories": "violence"}, "categories: str 'violence' is not a list"),
        ({"p_unsafe": 0.1, "categories": [3]}, "categories are list [3]"),
        ({"p_unsafe": 0.1, "spans": [(4, 2)]}, "a span is tuple (4, 2)"),
        ({"p_unsafe": 0.1, "spans": [("0", "4")]}, "a span is tuple ('0', '4')"),
        ({"p_unsafe": 0.1, "spans": 7}, "spans: int 7 is not a list"),
    ],
)
def test_anything_else_is_an_error_and_never_safe(returned: Any, said: str) -> None:
    verdict = checked(lambda text: returned, Policy(on_error="closed")).verdict
    assert (verdict.status, verdict.action) == (Status.ERROR, Action.BLOCK)
    assert said in verdict.detail


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*KEYS, 1]), inner | st.sampled_from(Action), max_size=4)
        ),
        max_leaves=6,
    )
)
def test_whatever_is_returned_a_judgement_has_a_probability(returned: Any) -> None:
    async def function(text: str) -> Any:
        return returned

    verdict = run_virtual(lambda: check(CallableScorer(function, now_ns=now_ns), Subject("text"), Policy())).verdict
    assert verdict.status in (Status.OK, Status.ERROR)
    advised = isinstance(returned, dict) and returned.get("action") in tuple(Action)
    if verdict.status is Status.OK:
        assert advised if verdict.p_unsafe is None else 0 <= verdict.p_unsafe <= 1
    else:
        assert verdict.p_unsafe is None


def test_an_async_function_runs_on_the_event_loop_and_its_time_is_work() -> None:
    async def function(text: str) -> float:
        await asyncio.sleep(0.25)
        return 0.5

    score = run_virtual(lambda: CallableScorer(function, now_ns=now_ns).score(Subject("text")))
    assert score.started_ns == score.queued_ns
    assert score.ended_ns - score.started_ns == 250_000_000


def test_an_object_with_an_async_call_is_async() -> None:
    class Function:
        async def __call__(self, text: str) -> float:
            return 0.5 if threading.current_thread() is threading.main_thread() else 1.0

    assert run_virtual(lambda: CallableScorer(Function(), now_ns=now_ns).score(Subject("text"))).p_unsafe == 0.5


def test_a_sync_function_runs_off_the_event_loop_and_waits_its_turn() -> None:
    may_end, began, ran_in = threading.Event(), threading.Event(), set()

    def function(text: str) -> float:
        ran_in.add(threading.current_thread())
        began.set()
        assert may_end.wait(60)
        return 0.0

    async def work() -> list[Any]:
        scorer = CallableScorer(function, DaemonThreads(1))
        asked = [asyncio.create_task(scorer.score(Subject("text"))) for _ in range(2)]
        while not began.is_set():
            await asyncio.sleep(0)  # the loop turns while the function works
        may_end.set()
        return await asyncio.gather(*asked)

    first, second = asyncio.run(work())
    assert threading.main_thread() not in ran_in and len(ran_in) == 1
    assert first.queued_ns <= second.queued_ns < first.ended_ns <= second.started_ns <= second.ended_ns


def test_a_sync_function_that_hangs_is_a_timeout_and_does_not_keep_the_process() -> None:
    never = threading.Event()
    found = checked(lambda text: never.wait(), Policy(timeout_ms=20))
    assert (found.verdict.status, found.verdict.detail) == (Status.TIMEOUT, "no answer in 20 ms")
    hung = [t for t in threading.enumerate() if t.name == "guard-callable"]
    assert hung and all(t.daemon for t in hung)
    never.set()


def test_a_check_cancelled_before_its_turn_is_never_begun() -> None:
    may_end, seen = threading.Event(), []

    def function(text: str) -> float:
        seen.append(text)
        assert may_end.wait(60)
        return 0.0

    async def work() -> None:
        scorer = CallableScorer(function, DaemonThreads(1))
        first = asyncio.create_task(scorer.score(Subject("first")))
        while not seen:
            await asyncio.sleep(0)
        second = asyncio.create_task(scorer.score(Subject("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        third = asyncio.create_task(scorer.score(Subject("third")))
        may_end.set()
        await asyncio.gather(first, third)

    asyncio.run(work())
    assert seen == ["first", "third"]


def test_a_functions_own_timeout_is_a_timeout_too() -> None:
    def function(text: str) -> float:
        raise TimeoutError("the socket")

    verdict = checked(function).verdict
    assert (verdict.status, verdict.detail) == (Status.TIMEOUT, "the socket")


def config(function: str) -> InputClassifierConfig:
    scorer = {"kind": "callable", "function": function}
    return InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": scorer})


def test_a_scenario_names_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "my_scorers.py").write_text("async def long(text):\n    return float(len(text) > 9)\n")
    guard = build_guard("mine", config("my_scorers:long"), None)

    async def finish(prompt: str) -> str | None:
        request = GenerationRequest(
            "r", (Message("user", prompt),), Sampling(max_tokens=2, ignore_eos=True), Trace(now_ns)
        )
        return [d async for d in stack(ModelledEngine(now_ns=now_ns), [guard]).generate(request)][-1].finish_reason

    assert run_virtual(lambda: finish("far too long")) == "blocked"
    assert run_virtual(lambda: finish("short")) == "length"


@pytest.mark.parametrize(
    ("function", "said"),
    [("math:pi", "guards.mine.scorer.function: math:pi is not a function"), ("math:sinn", "has no `sinn`")],
)
def test_what_is_no_function_is_one_line(function: str, said: str) -> None:
    with pytest.raises(GuardConfigError) as caught:
        build_guard("mine", config(function), None)
    assert said in str(caught.value)


def test_threads_are_kept_and_no_more_than_the_limit() -> None:
    async def work() -> set[str]:
        threads = DaemonThreads(2)
        one_after_another = {await threads.run(lambda: str(threading.get_ident())) for _ in range(3)}
        many = await asyncio.gather(*(threads.run(lambda: str(threading.get_ident())) for _ in range(20)))
        return one_after_another | set(many)

    assert len(asyncio.run(work())) <= 2
