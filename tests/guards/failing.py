"""Scorers that fail, each in one way, on the texts that ask for it; and answer the others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from guards.breaker import Breaker
from guards.guard import Score, Scorer
from guards.scorers.worker import WorkerDied
from guards.subject import Subject
from guards.verdict import Status, TextSpan
from profiler.engines.virtual_time import now_ns

FAIL = "FAIL"
"""A conversation with this word in its prompt makes a scorer fail."""
CHECK_S = 0.03


class Panic(BaseException):
    """As a Rust library's panic reaches Python: no `Exception`."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no message either")


def raises(error: BaseException) -> Callable[[], Awaitable[Any]]:
    async def fail() -> Any:
        raise error

    return fail


def returns(found: Any) -> Callable[[], Awaitable[Any]]:
    async def fail() -> Any:
        return found

    return fail


def score(p_unsafe: Any = 0.0, **more: Any) -> Score:
    return Score(p_unsafe, now_ns(), now_ns(), now_ns(), **more)


async def hangs() -> Any:
    await asyncio.sleep(1e5)


async def answers_late() -> Any:
    try:
        await asyncio.sleep(1e5)
    except asyncio.CancelledError:
        return score()


async def turns_the_cancel_into_an_error() -> Any:
    try:
        await asyncio.sleep(1e5)
    except asyncio.CancelledError:
        raise ValueError("interrupted") from None


async def waits_for_what_another_cancels() -> Any:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    return await future


async def garbage(name: str) -> Any:
    return {
        "p is a text": lambda: score("0.5"),
        "p is a sign": lambda: score(True),
        "p is a huge number": lambda: score(10**5000),
        "no times": lambda: Score(0.5, None, None, None),  # type: ignore[arg-type]
        "categories are none": lambda: score(categories=None),
        "spans are numbers": lambda: score(spans=((0, 3),)),
        "a span runs backwards": lambda: score(spans=(TextSpan(5, 2, "x"),)),
        "advice is a text": lambda: score(advice="block"),
        "detail is bytes": lambda: score(detail=b"x"),
    }[name]()


def messy(name: str) -> Callable[[], Awaitable[Any]]:
    return lambda: garbage(name)


NOT_A_NUMBER: dict[str, Callable[[], Awaitable[Any]]] = {
    "NaN": lambda: returns(score(float("nan")))(),
    "infinite": lambda: returns(score(float("inf")))(),
    "negative": lambda: returns(score(-0.1))(),
    "over 1": lambda: returns(score(1.5))(),
    "p_refusal over 1": lambda: returns(score(0.1, p_refusal=7.0))(),
}
GARBAGE = (
    "p is a text", "p is a sign", "p is a huge number", "no times", "categories are none", "spans are numbers",
    "a span runs backwards", "advice is a text", "detail is bytes",
)  # fmt: skip
FAILURES: dict[str, tuple[Status, Callable[[], Awaitable[Any]]]] = {
    "raises": (Status.ERROR, raises(ValueError("boom"))),
    "raises a lone surrogate": (Status.ERROR, raises(ValueError("\ud800"))),
    "raises what has no message": (Status.ERROR, raises(Unprintable())),
    "runs out of memory": (Status.ERROR, raises(MemoryError())),
    "exits": (Status.ERROR, raises(SystemExit(3))),
    "panics": (Status.ERROR, raises(Panic("index out of bounds"))),
    "cancels itself": (Status.ERROR, raises(asyncio.CancelledError())),
    "is cancelled by another": (Status.ERROR, waits_for_what_another_cancels),
    "stops an iteration": (Status.ERROR, raises(StopAsyncIteration())),
    "worker died": (Status.ERROR, raises(WorkerDied("gone"))),
    "times out by itself": (Status.TIMEOUT, raises(TimeoutError("a connection's"))),
    "hangs": (Status.TIMEOUT, hangs),
    "answers too late": (Status.TIMEOUT, answers_late),
    "fails on being stopped": (Status.TIMEOUT, turns_the_cancel_into_an_error),
    "returns nothing": (Status.ERROR, returns(None)),
    "returns a number": (Status.ERROR, returns(0.5)),
    **{name: (Status.ERROR, fail) for name, fail in NOT_A_NUMBER.items()},
    **{name: (Status.ERROR, messy(name)) for name in GARBAGE},
}
TIMEOUT_MS = 100.0


class Failing:
    """Answers "safe" after `CHECK_S`, but fails where the prompt asks for it."""

    max_match_chars = 0

    def __init__(self, fail: Callable[[], Awaitable[Any]]) -> None:
        self.fail = fail

    async def score(self, subject: Subject) -> Any:
        start_ns = now_ns()
        await asyncio.sleep(CHECK_S)
        if any(FAIL in message.content for message in subject.conversation):
            return await self.fail()
        return Score(0.0, start_ns, start_ns, now_ns(), p_refusal=0.0)


def open_breaker() -> Scorer:
    """A breaker that is open for good."""

    class Broken:
        max_match_chars = 0

        async def score(self, subject: Subject) -> Score:
            raise ValueError("boom")

    breaker = Breaker(Broken(), failures=1, cooldown_s=1e6, now_ns=now_ns)
    with_failure = asyncio.ensure_future(breaker.score(Subject("x")))
    with_failure.add_done_callback(lambda done: done.exception())
    return breaker
