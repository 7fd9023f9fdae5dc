"""The endpoint scorer against a real server on loopback: verdicts, failures, retries, the pool, cancellation."""

import asyncio
import gzip
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from guards.check import Check, Policy, check, record_stages
from guards.config import CascadeConfig, EndpointConfig, InputClassifierConfig, build_guard, open_resources
from guards.config.endpoint import open_endpoint
from guards.input_classifier import InputClassifier
from guards.subject import Message, Side, Subject
from guards.trace import Stage, Trace
from guards.verdict import Action, Status
from tests.guards.endpoint_server import Asked, Reply, Server, completed, likely, moderated, said

KEY = "sk-very-secret-0123456789"
TURNS = (Message("system", "be kind"), Message("user", "hello"), Message("assistant", "hi"), Message("user", "more"))
PROMPT = Subject("hello\nmore", "prompt", TURNS)
CLOSED = Policy(on_error="closed")
NEVER = Reply(hang=True)


def stated(server: Server, **more: Any) -> EndpointConfig:
    given = {"kind": "endpoint", "url": server.url, "model": "meta-llama/Llama-Guard-3-8B", "backoff_ms": 0, **more}
    return EndpointConfig.model_validate(given)


Answer = Callable[[Asked], Reply]
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """What hangs is a failure after a minute, whatever was to end it."""
    return asyncio.run(asyncio.wait_for(work, 60))


def ask(
    answer: Answer | Reply, *, times: int = 1, subject: Subject = PROMPT, policy: Policy = CLOSED, **more: Any
) -> tuple[list[Check], Server]:
    """What `times` checks, one after another, came to."""

    async def work() -> tuple[list[Check], Server]:
        reply = (lambda asked: answer) if isinstance(answer, Reply) else answer
        async with Server(reply) as server:
            async with open_endpoint(stated(server, **more)) as scorer:
                found = [await check(scorer, subject, policy) for _ in range(times)]
            await server.closed()
            return found, server

    return run(work())


def in_turn(*replies: Reply) -> Answer:
    left = list(replies)
    return lambda asked: left.pop(0)


# What is asked, and how the answer is read


def test_a_family_with_a_chat_template_of_its_own_is_asked_by_turns() -> None:
    (found,), server = ask(said("\n\nunsafe\nS1,S10"))
    verdict = found.verdict
    assert (verdict.action, verdict.p_unsafe, verdict.categories) == (Action.BLOCK, 1.0, ("Violent Crimes", "Hate"))
    (asked,) = server.asked
    assert (asked.path, asked.headers.get("authorization")) == ("/v1/chat/completions", None)
    assert asked.body == {
        "model": "meta-llama/Llama-Guard-3-8B",
        "messages": [{"role": t.role, "content": t.content} for t in TURNS[1:]],
        "temperature": 0,
        "max_tokens": 20,
    }


def test_a_text_without_a_conversation_is_its_only_turn() -> None:
    _, server = ask(said("safe"), subject=Subject("hello"))
    assert server.asked[0].body["messages"] == [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("side", ["prompt", "answer"])
def test_a_familys_template_arguments_go_along(side: Side) -> None:
    conversation = TURNS if side == "prompt" else (*TURNS, Message("assistant", "no"))
    (found,), server = ask(
        said("<score> no </score>"),
        subject=Subject("x", side, conversation),
        model="ibm-granite/granite-guardian-3.3-8b",
    )
    assert (found.verdict.status, found.verdict.p_unsafe) == (Status.OK, 0.0)
    assert server.asked[0].body["chat_template_kwargs"] == {"guardian_config": {"criteria_id": "harm"}, "think": False}


def test_a_family_that_is_a_raw_prompt_is_asked_for_a_completion() -> None:
    wrote = "Harmful request: no\nResponse refusal: yes\nHarmful response: no"
    answer = Subject("I will not.", "answer", (*TURNS, Message("assistant", "I will not.")))
    (found,), server = ask(completed(wrote), subject=answer, model="someone/else", family="wildguard")
    assert (found.verdict.p_unsafe, found.verdict.p_refusal) == (0.0, 1.0)
    (asked,) = server.asked
    assert (asked.path, asked.body["add_special_tokens"]) == ("/v1/completions", False)
    assert "AI assistant:\nI will not.\n" in asked.body["prompt"] and "messages" not in asked.body


def test_the_label_of_a_raw_prompt_is_scored_at_its_first_token() -> None:
    top = {"Yes": math.log(0.2), "No": math.log(0.6), "Maybe": math.log(0.2)}
    (found,), server = ask(completed("No", ("No", top)), model="google/shieldgemma-2b", read="logprob")
    assert found.verdict.p_unsafe == pytest.approx(0.25)
    assert (server.asked[0].body["logprobs"], server.asked[0].body["max_tokens"]) == (20, 1)


@pytest.mark.parametrize("before", [["\n\n"], ["\n", "\n"], ["\n"], []])
def test_a_label_behind_newlines_is_scored_behind_them(before: list[str]) -> None:
    label = ("unsafe", {"safe": math.log(0.1), "unsafe": math.log(0.9)})
    places = [*((text, {text: 0.0, "safe": -9.0, "unsafe": -9.5}) for text in before), label]
    (found,), server = ask(said("\n\nunsafe", logprobs=likely(*places)), read="logprob")
    assert found.verdict.p_unsafe == pytest.approx(0.9)
    body = server.asked[0].body
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 3)


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (
            [("I", {"I": -0.1}), ("think", {"think": 0.0})],
            "'safe' is not among the 1 likeliest tokens, and could weigh",
        ),
        ([("I", {"I": 0.0})], "no label token has any probability"),
        ([("unsafe", {"unsafe": -0.1, "sa": -3.0})], "'safe' is not among the 2 likeliest tokens, and could weigh"),
        ([("\n\n", {"\n\n": 0.0})], "the model did not write '\\n\\n' and a label behind it"),
        ([], "the model did not write"),
        ([("safe", {})], "'safe' is not among the 0 likeliest tokens, and could weigh"),
        ([("safe", {"safe": math.nan})], "cannot be read"),
        ([("safe", {"safe": 2.0, "unsafe": -1.0})], "no usable log-probability for label 'safe'"),
    ],
)
def test_a_label_that_cannot_be_scored_is_an_error(places: list[Any], says: str) -> None:
    (found,), _ = ask(said("safe", logprobs=likely(*places)), read="logprob")
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)
    assert says in found.verdict.detail


def test_a_server_without_logprobs_is_an_error() -> None:
    (found,), _ = ask(said("safe"), read="logprob")
    assert (found.verdict.status, found.verdict.p_unsafe) == (Status.ERROR, None)


SCORES = {"hate": 0.2, "violence": 0.7, "self-harm": 0.9}


@pytest.mark.parametrize(
    ("more", "p", "categories"),
    [
        ({}, 0.9, ("violence", "self-harm")),
        ({"unsafe": ["hate", "violence"]}, 0.7, ("violence",)),
        ({"unsafe": ["hate"]}, 0.2, ()),
    ],
)
def test_moderation_takes_the_largest_score_of_the_categories_that_count(more: Any, p: float, categories: Any) -> None:
    reply = moderated(SCORES, flagged=True, **{"hate": False, "violence": True, "self-harm": True})
    (found,), server = ask(reply, api="moderation", model="omni", **more)
    verdict = found.verdict
    assert (verdict.status, verdict.p_unsafe, verdict.categories) == (Status.OK, p, categories)
    assert verdict.detail == "flagged by the endpoint"
    assert (server.asked[0].path, server.asked[0].body) == ("/v1/moderations", {"model": "omni", "input": PROMPT.text})


@pytest.mark.parametrize(
    ("reply", "more", "says"),
    [
        (moderated({}), {}, "the answer has no category scores"),
        (moderated({"hate": None}), {}, "the answer has no category scores"),
        (moderated(SCORES), {"unsafe": ["hate", "violense"]}, "the endpoint scores no category 'violense'"),
        (moderated({"hate": 1.5}), {}, "p_unsafe is 1.5"),
        (moderated({"hate": math.nan}), {}, "cannot be read"),
        (Reply(b'{"results": []}'), {}, "the answer has 0 results, not one"),
        (Reply(b'{"results": [{"flagged": false, "categories": {}}]}'), {}, "missing required field"),
        (Reply(b'{"results": [{"flagged": 0, "categories": {}, "category_scores": {}}]}'), {}, "Expected `bool`"),
    ],
)
def test_a_moderation_that_lacks_what_counts_is_an_error(reply: Reply, more: Any, says: str) -> None:
    (found,), _ = ask(reply, api="moderation", model="omni", **more)
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)
    assert says in found.verdict.detail


@pytest.mark.parametrize(
    "reply",
    [
        said("I am sure that it is safe"),
        said("safe\nunsafe"),
        said(""),
        said(None),
        said(["safe"]),
        Reply(b'{"choices": []}'),
        Reply(b'{"choices": [{"message": {"content": "safe"}}, {"message": {"content": "safe"}}]}'),
        Reply(b'{"choices": [{"text": "safe"}]}'),
        Reply(b'{"error": "overloaded"}'),
        Reply(b"safe"),
        Reply(b""),
        Reply(b'{"choices": ['),
        Reply(b"\xff\xfe"),
        Reply(b"[" * 100_000),
        Reply(b"<html>safe</html>", headers={"Content-Type": "text/html"}),
    ],
)
def test_an_answer_that_does_not_parse_is_an_error_and_never_safe(reply: Reply) -> None:
    (found,), server = ask(reply)
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.BLOCK)
    assert len(server.asked) == 1


# Failures, and what is asked again


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 501, 307, 204, 299])
def test_what_asking_again_does_not_cure_is_asked_once(status: int) -> None:
    (found,), server = ask(Reply(b"secret words", status, {"Location": "/v1/elsewhere"}), retries=5)
    assert (found.verdict.status, len(server.asked)) == (Status.ERROR, 1)
    assert f"HTTP {status}" in found.verdict.detail and "secret" not in found.verdict.detail


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(status: int) -> None:
    busy = Reply(b"{}", status, {"Retry-After": "0"})
    (found,), server = ask(in_turn(busy, busy, said("safe")))
    assert (found.verdict.status, found.verdict.p_unsafe, len(server.asked)) == (Status.OK, 0.0, 3)
    assert server.connections == 1
    (found,), server = ask(busy, retries=1)
    assert len(server.asked) == 2
    assert f"HTTP {status}" in found.verdict.detail and found.verdict.detail.endswith("asked 2 times")


def test_a_retry_after_is_waited_for_and_counts_as_work() -> None:
    (found,), server = ask(in_turn(Reply(b"{}", 429, {"Retry-After": "1"}), said("safe")))
    assert found.score is not None and len(server.asked) == 2
    assert found.score.ended_ns - found.score.started_ns >= 1_000_000_000


def test_a_retry_after_longer_than_a_request_may_take_is_not_waited_for() -> None:
    (found,), server = ask(Reply(b"{}", 429, {"Retry-After": "3600"}), retries=5)
    assert (found.verdict.status, len(server.asked)) == (Status.ERROR, 1)
    assert found.verdict.detail == "EndpointError: HTTP 429 Too Many Requests"


def test_a_refused_connection_is_asked_again_and_then_an_error() -> None:
    async def work() -> Check:
        async with Server(lambda asked: NEVER) as server:
            config = stated(server)
        async with open_endpoint(config) as scorer:  # nobody listens there any more
            return await check(scorer, PROMPT, CLOSED)

    verdict = run(work()).verdict
    assert (verdict.status, verdict.action) == (Status.ERROR, Action.BLOCK)
    assert verdict.detail == "EndpointError: no connection: ConnectError, asked 3 times"


@pytest.mark.parametrize(
    "broken",
    [
        Reply(raw=b"", close=True),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le", close=True),
        Reply(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"choices"', close=True),
        Reply(raw=b"this is no HTTP\r\n\r\n", close=True),
    ],
)
def test_a_connection_that_breaks_in_mid_answer_is_made_again(broken: Reply) -> None:
    (found,), server = ask(in_turn(broken, said("safe")))
    assert (found.verdict.status, server.connections) == (Status.OK, 2)
    (found,), server = ask(broken)
    assert (found.verdict.status, len(server.asked)) == (Status.ERROR, 3)


def test_a_kept_connection_that_the_server_has_closed_is_made_again() -> None:
    reply = Reply(said("safe").body, close=True)  # closed without a word of warning
    found, server = ask(reply, times=3)
    assert [one.verdict.status for one in found] == [Status.OK] * 3
    assert server.connections >= 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(said("safe" + " " * (1 << 20)).body),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n" + b" " * (3 << 20), hang=True),
        Reply(raw=b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + b" " * 0x200000, hang=True),
    ],
)
def test_a_huge_answer_is_not_read_to_its_end(reply: Reply) -> None:
    (found,), _ = ask(reply)
    assert (found.verdict.status, found.verdict.detail) == (
        Status.ERROR,
        "EndpointError: the answer is over 1048576 bytes",
    )


def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * (8 << 20))
    (found,), server = ask(Reply(bomb, headers={"Content-Encoding": "gzip"}))
    assert (found.verdict.status, server.asked[0].headers["accept-encoding"]) == (Status.ERROR, "identity")
    assert "compressed" in found.verdict.detail


# Time


DRIPS = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", hang=True)


@pytest.mark.parametrize("slow", [NEVER, DRIPS])
def test_a_slow_answer_is_a_timeout_and_is_not_asked_again(slow: Reply) -> None:
    (found,), server = ask(slow, request_timeout_ms=30)
    assert (found.verdict.status, found.verdict.action) == (Status.TIMEOUT, Action.BLOCK)
    assert (found.verdict.detail, len(server.asked)) == ("the endpoint gave no answer in 30 ms", 1)


@pytest.mark.parametrize("slow", [NEVER, DRIPS, Reply(b"{}", 503, {"Retry-After": "4"})])
def test_the_guards_own_timeout_holds_over_all_attempts_and_closes_the_connection(slow: Reply) -> None:
    # `ask` itself waits until the server has seen every connection closed.
    (found,), _ = ask(slow, policy=Policy(timeout_ms=30, on_error="closed"), retries=9)
    assert (found.verdict.status, found.verdict.detail) == (Status.TIMEOUT, "no answer in 30 ms")


def test_a_check_that_is_cancelled_closes_its_connection_and_leaves_the_pool_usable() -> None:
    async def work() -> tuple[Check, int]:
        server = Server(in_turn(NEVER, said("safe")))
        async with server, open_endpoint(stated(server, connections=1)) as scorer:
            checking = asyncio.create_task(check(scorer, PROMPT, CLOSED))
            await server.hanging.wait()
            checking.cancel()
            await server.closed()
            with pytest.raises(asyncio.CancelledError):
                await checking
            return await check(scorer, PROMPT, CLOSED), server.connections

    found, connections = run(work())
    assert (found.verdict.status, connections) == (Status.OK, 2)


# The pool


def test_checks_one_after_another_share_a_connection_which_is_closed_in_the_end() -> None:
    found, server = ask(said("safe"), times=5)
    assert [one.verdict.status for one in found] == [Status.OK] * 5
    assert (server.connections, [asked.connection for asked in server.asked], server.open) == (1, [1] * 5, 0)


def test_no_more_connections_than_stated_and_what_waits_for_one_is_queued() -> None:
    async def work() -> tuple[list[Check], Server]:
        async with Server(lambda asked: said("safe")) as server, open_endpoint(stated(server, connections=2)) as scorer:
            return list(await asyncio.gather(*(check(scorer, PROMPT, CLOSED) for _ in range(8)))), server

    found, server = run(work())
    assert (server.most_open, len(server.asked)) == (2, 8)
    scores = [one.score for one in found if one.score is not None]
    assert len(scores) == 8
    assert all(s.queued_ns <= s.started_ns <= s.ended_ns for s in scores)
    began = sorted(s.started_ns for s in scores)
    ended = sorted(s.ended_ns for s in scores)
    # The third is sent when the first has been answered.
    assert all(began[i + 2] >= ended[i] for i in range(6))


def test_the_spans_tell_waiting_for_a_connection_from_the_servers_work() -> None:
    (found,), _ = ask(said("safe"))
    trace = Trace()
    record_stages(trace, "g", found.score, critical=True)
    assert trace.spans[-1].stage is Stage.PREFILL
    assert {span.stage for span in trace.spans} <= {Stage.QUEUE, Stage.PREFILL}


def test_guards_that_state_the_same_share_one_pool_which_ends_with_them() -> None:
    async def work() -> Server:
        async with Server(lambda asked: said("safe")) as server:
            scorer = stated(server)
            cascade = CascadeConfig(kind="cascade", cascade=(scorer, scorer), band=(0, 1))
            configs = [InputClassifierConfig(kind="input-classifier", scorer=s) for s in (scorer, cascade)]
            async with open_resources(configs) as resources:
                for config in configs:
                    guard = build_guard("g", config, resources)
                    assert isinstance(guard, InputClassifier)
                    assert (await check(guard.scorer, PROMPT, CLOSED)).verdict.status is Status.OK
            await server.closed()
            return server

    server = run(work())
    assert (len(server.asked), server.connections) == (3, 1)


# The key


def test_the_key_is_sent_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)

    async def work() -> tuple[list[str], list[Asked]]:
        async with Server(in_turn(said("safe"), Reply(KEY.encode(), 401))) as server:
            config = stated(server, key_env="MY_KEY")
            async with open_endpoint(config) as scorer:
                found = [await check(scorer, PROMPT, CLOSED) for _ in range(2)]
                shown = [repr(scorer), repr(vars(scorer)), repr(vars(scorer.connection)), repr(found)]  # type: ignore[attr-defined]
            return [*shown, repr(config), config.model_dump_json()], server.asked

    shown, asked = run(work())
    assert asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert "HTTP 401 Unauthorized" in shown[3]
    assert KEY not in "\n".join([*shown, caplog.text])


def test_no_proxy_of_the_environment_stands_before_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (found,), _ = ask(said("safe"))
    assert found.verdict.status is Status.OK
