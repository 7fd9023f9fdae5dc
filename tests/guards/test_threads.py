"""A sync function of the user's, in its thread: whatever it raises is one failed check, and the next is answered."""

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest

from guards.check import Policy, check
from guards.scorers.callable import CallableScorer
from guards.subject import Subject
from guards.verdict import Status


class Panic(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [
        ValueError("boom"),
        MemoryError(),
        StopIteration("no more"),
        StopAsyncIteration(),
        SystemExit(2),
        KeyboardInterrupt(),
        GeneratorExit(),
        Panic("index out of bounds"),
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
    ],
    ids=repr,
)
def test_whatever_a_function_raises_is_one_failed_check(error: BaseException) -> None:
    def function(text: str) -> float:
        if text == "bad":
            raise error
        return 0.25

    async def work() -> Any:
        scorer = CallableScorer(function)
        async with asyncio.timeout(60):
            found = [await check(scorer, Subject(text), Policy()) for text in ("bad", "good", "bad", "good")]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return [(one.verdict.status, one.verdict.p_unsafe) for one in found], found[0].verdict.detail

    found, detail = asyncio.run(work())
    assert found == [(Status.ERROR, None), (Status.OK, 0.25)] * 2
    assert type(error).__name__ in detail


def test_a_function_that_outlives_its_timeout_is_counted_so_and_others_are_answered() -> None:
    released = threading.Event()

    def function(text: str) -> float:
        if text == "bad":
            released.wait(60)
        return 0.25

    async def work() -> list[Status]:
        scorer = CallableScorer(function)
        async with asyncio.timeout(60):
            late, fine = await asyncio.gather(
                check(scorer, Subject("bad"), Policy(timeout_ms=20)), check(scorer, Subject("good"), Policy())
            )
        return [late.verdict.status, fine.verdict.status]

    try:
        assert asyncio.run(work()) == [Status.TIMEOUT, Status.OK]
    finally:
        released.set()
