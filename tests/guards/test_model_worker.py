"""The worker process with models of the tests' own: batches, failures, its end. A real process each time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from guards.check import Policy, check
from guards.scorers.batching import Batching
from guards.scorers.model_process import ModelSpec
from guards.scorers.model_worker import ModelFailed, ModelNotLoaded, ModelWorker, WorkerDied
from guards.scorers.transformer import TransformerScorer
from guards.subject import Subject
from guards.verdict import Status

MODELS = "tests.guards.worker_models"
PLAIN = Batching()


@asynccontextmanager
async def working(model: str, batching: Batching = PLAIN, **arguments: Any) -> AsyncIterator[ModelWorker]:
    worker = await ModelWorker.start(ModelSpec(f"{MODELS}:{model}", arguments), batching)
    try:
        yield worker
    finally:
        await worker.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):  # only a hang takes so long
            await work()

    asyncio.run(limited())


async def found(worker: ModelWorker, *items: Any) -> list[Any]:
    return [work.found for work in await asyncio.gather(*(worker.judge(item) for item in items))]


async def outcomes(worker: ModelWorker, *items: Any) -> list[Any]:
    tried = await asyncio.gather(*(worker.judge(item) for item in items), return_exceptions=True)
    return [f"{type(one).__name__}: {one}" if isinstance(one, BaseException) else one.found for one in tried]


def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


async def at_work(path: Path) -> TextIO:
    """Once the model reads the FIFO: it goes on when this is closed. Opening waits for it, off the event loop."""
    return await asyncio.to_thread(path.open, "w")


def test_a_batch_leaves_when_it_is_full_or_when_its_oldest_text_has_waited() -> None:
    async def work() -> None:
        async with working("batch_size", Batching(max_batch=4, max_wait_ms=300_000)) as worker:
            assert [size for size, _ in await found(worker, *range(8))] == [4] * 8  # nobody waits five minutes
        async with working("batch_size", Batching(max_batch=4, max_wait_ms=50)) as worker:
            assert [size for size, _ in await found(worker, *range(3))] == [3] * 3

    run(work)


def test_what_waits_while_a_batch_is_in_work_makes_up_the_next_but_not_the_cancelled(tmp_path: Path) -> None:
    async def work() -> None:
        path = fifo(tmp_path)
        async with working("special") as worker:
            blocked = asyncio.create_task(worker.judge(f"wait {path}"))
            gate = await at_work(path)
            gone, *kept = (asyncio.create_task(worker.judge(text)) for text in ("gone", "kept", "seen"))
            await asyncio.sleep(0)
            gone.cancel()
            gate.close()
            first, second, last = [await task for task in (blocked, *kept)]
            assert last.found == ["kept", "seen"]
            assert (second.started_ns, second.ended_ns) == (last.started_ns, last.ended_ns)
            assert first.queued_ns <= second.queued_ns <= first.ended_ns <= second.started_ns

    run(work)


def test_lanes_work_at_once_in_one_process(tmp_path: Path) -> None:
    async def work() -> None:
        path = fifo(tmp_path)
        async with working("special", Batching(lanes=2)) as worker:
            blocked = asyncio.create_task(worker.judge(f"wait {path}"))
            gate = await at_work(path)
            assert await found(worker, "hello") == [[0.25, []]]  # while the other lane is blocked
            gate.close()
            await blocked

    run(work)


def test_a_batch_that_does_not_fit_is_tried_in_halves_and_only_what_fails_alone_is_lost() -> None:
    async def work() -> None:
        async with working("special", texts_that_fit=2) as worker:
            assert await found(worker, *["fine"] * 7) == [[0.25, []]] * 7
            lost = "ModelFailed: MemoryError: 3 GiB"
            fine = [0.25, []]
            assert await outcomes(worker, "fine", "raise 3 GiB", "fine", "fine") == [fine, lost, fine, fine]
            assert await found(worker, "still here") == [fine]
        async with working("special", texts_that_fit=0) as worker:
            assert await outcomes(worker, "a") == ["ModelFailed: OutOfMemoryError: no room for 1 texts"]

    run(work)


def test_a_model_with_a_fault_fails_its_texts_and_nobody_waits_for_ever() -> None:
    async def work() -> None:
        async with working("wrong_count") as worker:
            assert (await outcomes(worker, "a"))[0].startswith("ModelFailed: ValueError: the model gave 0 results")
        async with working("special") as worker:
            # What cannot be told ends the process's lane, and with it the worker.
            assert await outcomes(worker, "object") == ["WorkerDied: the guard's worker process is gone"]
            assert await outcomes(worker, "a") == ["WorkerDied: the guard's worker process is gone"]

    run(work)


@pytest.mark.parametrize("lanes", [1, 2])
def test_when_the_process_is_killed_all_who_wait_and_all_later_ones_are_told(tmp_path: Path, lanes: int) -> None:
    async def work() -> None:
        path = fifo(tmp_path)
        async with working("special", Batching(lanes=lanes)) as worker:
            waiting = [asyncio.create_task(worker.judge(f"wait {path}"))]
            gate = await at_work(path)
            waiting += [asyncio.create_task(worker.judge("text")) for _ in range(40)]
            await asyncio.sleep(0)
            os.kill(worker.pid, signal.SIGKILL)
            told = await asyncio.gather(*waiting, return_exceptions=True)
            gate.close()
            died = [one for one in told if isinstance(one, BaseException)]
            assert {type(one) for one in died} == {WorkerDied}
            assert told[0] in died
            with pytest.raises(WorkerDied):
                await worker.judge("later")

    run(work)


def test_a_process_that_kills_itself_at_work_and_an_idle_one_that_is_killed() -> None:
    async def work() -> None:
        async with working("special") as worker:
            assert await outcomes(worker, "die") == ["WorkerDied: the guard's worker process is gone"]
        async with working("special") as worker:
            os.kill(worker.pid, signal.SIGKILL)
            assert await outcomes(worker, "text") == ["WorkerDied: the guard's worker process is gone"]

    run(work)


def test_closing_tells_those_who_wait_and_all_later_ones(tmp_path: Path) -> None:
    async def work() -> None:
        async with working("special") as worker:
            waiting = asyncio.create_task(worker.judge(f"wait {(path := fifo(tmp_path))}"))
            gate = await at_work(path)
        gate.close()
        with pytest.raises(WorkerDied):
            await waiting
        with pytest.raises(WorkerDied, match="closed"):
            await worker.judge("later")

    run(work)


def test_a_ctrl_c_is_the_drivers() -> None:
    async def work() -> None:
        async with working("special") as worker:
            os.kill(worker.pid, signal.SIGINT)
            assert await found(worker, "text") == [[0.25, []]]

    run(work)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("needs_the_user", "the model is missing: make it"),
        ("broken", "ZeroDivisionError: half of nothing"),
        ("nothing", "AttributeError: .*nothing"),
    ],
)
def test_a_model_that_does_not_load_says_why_in_one_line(model: str, said: str) -> None:
    async def work() -> None:
        with pytest.raises(ModelNotLoaded, match=f"^{said}"):
            async with working(model):
                pass

    run(work)


def test_a_process_that_is_killed_while_it_loads_has_died() -> None:
    async def work() -> None:
        with pytest.raises(WorkerDied):
            async with working("dies"):
                pass

    run(work)


def test_no_probability_is_an_error_and_what_the_model_raised_is_in_the_verdict() -> None:
    async def work() -> None:
        async with working("special") as worker:
            scorer = TransformerScorer(worker)
            nan = await check(scorer, Subject("nan"), Policy())
            assert (nan.verdict.status, nan.verdict.detail) == (Status.ERROR, "p_unsafe is nan")
            raised = await check(scorer, Subject("raise no room"), Policy())
            assert raised.verdict.detail == "ModelFailed: MemoryError: no room"
            half = await check(scorer, Subject("\ud800"), Policy())
            assert half.verdict.status is Status.OK

    run(work)


def test_a_failed_item_that_cannot_cross_the_pipe_fails_its_batch_only() -> None:
    async def work() -> None:
        async with working("special") as worker:
            with pytest.raises(UnicodeEncodeError):
                await worker.judge("\ud800")
            assert await found(worker, "text") == [[0.25, []]]
            assert not isinstance(ModelFailed("x"), WorkerDied)

    run(work)
