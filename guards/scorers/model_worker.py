"""A worker process that owns a model: texts in flight share batches, the event loop never blocks."""

import asyncio
import multiprocessing
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self, TypeVar

import msgspec

from guards.scorers.model_process import Loaded, ModelSpec, Reply, serve
from guards.scorers.threads import DaemonThreads

T = TypeVar("T")

MAX_WAITING = 10_000
"""Texts that may wait at once: beyond that a check fails, so that an overload cannot eat the memory."""


class WorkerDied(RuntimeError):
    """The worker process is gone; its guard has no verdicts any more."""


class WorkerFull(RuntimeError):
    """Too many texts wait for the worker already."""


class ModelNotLoaded(RuntimeError):
    """The worker's model cannot be had; the message is one line."""


class ModelFailed(RuntimeError):
    """The model raised on this text, alone too; the message is its exception's type and message."""


@dataclass(frozen=True, slots=True)
class Batching:
    """When waiting texts become a batch.

    A batch leaves for an idle lane when `max_batch` texts wait, or when the oldest has waited `max_wait_ms`; at 0,
    whatever waits when a lane becomes idle makes up its next batch. `lanes` is how many batches the process works on
    at once, each in a thread of its own; texts that are due are shared between idle lanes.
    """

    max_batch: int = 32
    max_wait_ms: float = 0.0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Work:
    """What the model found in one text (plain data), and when its batch ran (monotonic ns)."""

    found: Any
    queued_ns: int
    started_ns: int
    ended_ns: int


@dataclass(slots=True)
class _Waiting:
    item: Any
    queued_ns: int
    done: asyncio.Future[Work] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class ModelWorker:
    """A model in a process of its own. Make one with `await ModelWorker.start(spec)`."""

    def __init__(self, process: BaseProcess, pipes: list[Connection], batching: Batching) -> None:
        """Wrap a process whose model is not loaded yet. There is one pipe a lane."""
        self._process, self._pipes, self._batching = process, pipes, batching
        self._threads = DaemonThreads(len(pipes))
        self._idle = list(pipes)
        self._waiting: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._ended = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, spec: ModelSpec, batching: Batching = Batching()) -> Self:
        """Start the process and wait until its model is loaded.

        Raises:
            ModelNotLoaded: the loader raised.
            WorkerDied: the process ended while it loaded.
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = zip(*(context.Pipe() for _ in range(batching.lanes)), strict=True)
        arguments = (list(theirs), msgspec.msgpack.encode(spec))
        process = context.Process(target=serve, args=arguments, name="guard-worker", daemon=True)
        process.start()
        for pipe in theirs:
            pipe.close()
        worker = cls(process, list(ours), batching)
        try:
            loaded = await worker._threads.run(lambda: _received(ours[0], Loaded))
            if loaded.failure:
                raise ModelNotLoaded(loaded.failure)
        except BaseException:
            await worker.close()
            raise
        worker._spawn(worker._dispatch())
        return worker

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid or 0

    async def judge(self, item: Any) -> Work:
        """What the model finds in one item (plain data), batched with whatever else waits.

        Raises:
            ModelFailed: the model raised on it.
            WorkerFull: too many wait already.
            WorkerDied: the process is gone.
        """
        if self._ended:
            raise WorkerDied(self._ended)
        if len(self._waiting) >= MAX_WAITING:
            self._forget_gone()
            if len(self._waiting) >= MAX_WAITING:
                raise WorkerFull(f"{MAX_WAITING} texts wait for the worker already")
        mine = _Waiting(item, time.monotonic_ns())
        self._waiting.append(mine)
        if self._idle:
            self._changed.set()
        return await mine.done

    async def close(self) -> None:
        """Stop the process. Whoever waits still gets `WorkerDied`."""
        self._end("the guard's worker is closed")
        self._process.terminate()
        await asyncio.to_thread(self._process.join, 5)
        if self._process.is_alive():
            self._process.kill()
            await asyncio.to_thread(self._process.join)
        # The process is gone, so every thread has its end of file, and no pipe is closed under a reader.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pipe in self._pipes:
            pipe.close()

    async def _dispatch(self) -> None:
        while not self._ended:
            await self._due()
            share = min(self._batching.max_batch, -(-len(self._waiting) // max(1, len(self._idle))))
            while self._waiting and self._idle:
                batch = [self._waiting.popleft() for _ in range(min(share, len(self._waiting)))]
                self._spawn(self._work(self._idle.pop(), batch))

    async def _due(self) -> None:
        """Until a batch has to leave and a lane is idle, or the worker has ended."""
        while not self._ended:
            self._changed.clear()
            left_s = None
            if self._idle:
                self._forget_gone()
                left_s = self._left_s()
                if left_s is not None and left_s <= 0:
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()

    def _left_s(self) -> float | None:
        """How long the batch that waits may wait still; None where nothing waits."""
        if not self._waiting:
            return None
        if len(self._waiting) >= self._batching.max_batch:
            return 0.0
        return self._batching.max_wait_ms / 1e3 - (time.monotonic_ns() - self._waiting[0].queued_ns) / 1e9

    async def _work(self, lane: Connection, batch: list[_Waiting]) -> None:
        try:
            message = msgspec.msgpack.encode([waiting.item for waiting in batch])
            reply = await self._threads.run(lambda: _asked(lane, message))
        except WorkerDied as error:
            _fail(batch, error)
            self._end(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, none of the batch may wait for ever
            _fail(batch, error)
        else:
            for waiting, found in zip(batch, reply.found, strict=True):
                if found.failure:
                    _fail([waiting], ModelFailed(found.failure))
                elif not waiting.done.done():
                    waiting.done.set_result(Work(found.result, waiting.queued_ns, reply.started_ns, reply.ended_ns))
        self._idle.append(lane)
        self._changed.set()

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        _fail(self._waiting, WorkerDied(why))
        self._waiting.clear()
        self._changed.set()

    def _forget_gone(self) -> None:
        """Drop the texts whose askers were cancelled."""
        if any(waiting.done.done() for waiting in self._waiting):
            self._waiting = deque(waiting for waiting in self._waiting if not waiting.done.done())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fail(batch: Iterable[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)


def _asked(pipe: Connection, message: bytes) -> Reply:
    try:
        pipe.send_bytes(message)
    except OSError as error:
        raise WorkerDied("the guard's worker process is gone") from error
    return _received(pipe, Reply)


def _received(pipe: Connection, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(pipe.recv_bytes(), type=kind)
    except (EOFError, OSError) as error:
        raise WorkerDied("the guard's worker process is gone") from error
