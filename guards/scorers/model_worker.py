"""A worker process that owns a model: texts in flight share batches, the event loop never blocks."""

import asyncio
import multiprocessing
from collections.abc import Coroutine
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self, TypeVar

import msgspec

from guards.scorers.batching import Batching, Line, Waiting, Work, fail
from guards.scorers.model_process import Loaded, ModelSpec, Reply, serve
from guards.scorers.threads import DaemonThreads

T = TypeVar("T")


class WorkerDied(RuntimeError):
    """The worker process is gone; its guard has no verdicts any more."""


class ModelNotLoaded(RuntimeError):
    """The worker's model cannot be had; the message is one line."""


class ModelFailed(RuntimeError):
    """The model raised on this text, alone too; the message is its exception's type and message."""


class ModelWorker:
    """A model in a process of its own. Make one with `await ModelWorker.start(spec, batching)`."""

    def __init__(self, process: BaseProcess, pipes: list[Connection], batching: Batching) -> None:
        """Wrap a process whose model is not loaded yet. There is one pipe a lane."""
        self._process, self._pipes = process, pipes
        self._threads = DaemonThreads(len(pipes))
        self._line, self._idle = Line(batching), list(pipes)
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = ""

    @classmethod
    async def start(cls, spec: ModelSpec, batching: Batching) -> Self:
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
        waiting = self._line.add(item)
        if self._idle:
            self._changed.set()
        return await waiting.done

    async def close(self) -> None:
        """Stop the process. Whoever waits still gets `WorkerDied`."""
        self._end("the guard's worker is closed")
        self._process.terminate()
        await asyncio.to_thread(self._process.join, 5)
        if self._process.is_alive():
            self._process.kill()
            await asyncio.to_thread(self._process.join)
        # The process is gone, so every thread has its end of file, and no pipe is closed under its reader.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pipe in self._pipes:
            pipe.close()

    async def _dispatch(self) -> None:
        while not self._ended:
            self._changed.clear()
            left_s = self._line.left_s() if self._idle else None
            if left_s is not None and left_s <= 0:
                for batch in self._line.take(len(self._idle)):
                    self._spawn(self._work(self._idle.pop(), batch))
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()

    async def _work(self, lane: Connection, batch: list[Waiting]) -> None:
        try:
            message = msgspec.msgpack.encode([waiting.item for waiting in batch])
            reply = await self._threads.run(lambda: _asked(lane, message))
        except WorkerDied as error:
            fail(batch, error)
            self._end(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, none of the batch may wait for ever
            fail(batch, error)
        else:
            for waiting, found in zip(batch, reply.found, strict=True):
                done = Work(found.result, waiting.queued_ns, reply.started_ns, reply.ended_ns)
                waiting.settle(ModelFailed(found.failure) if found.failure else done)
        self._idle.append(lane)
        self._changed.set()

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        self._line.fail(WorkerDied(self._ended))
        self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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
