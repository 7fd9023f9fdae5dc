"""A worker process that owns a model: requests in flight share batches, the event loop never blocks.

Whatever waits while a batch is in work makes up the next one, so batches grow with load and nothing
waits for company. Texts and numbers cross the pipe as MessagePack.
"""

import asyncio
import multiprocessing
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self, get_args

import msgspec

from guards.told import writable

MAX_BATCH = 32


class WorkerDied(RuntimeError):
    """The worker process is gone; its guard has no verdicts any more."""


@dataclass(frozen=True, slots=True)
class Work:
    """One text's results by head name, and when its batch ran (monotonic ns)."""

    probabilities: dict[str, float]
    queued_ns: int
    started_ns: int
    ended_ns: int


@dataclass(slots=True)
class _Waiting:
    text: str
    heads: tuple[str, ...]
    queued_ns: int
    done: asyncio.Future[Work] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class EmbeddingWorker:
    """MiniLM and its heads in a process of their own. Make one with `await EmbeddingWorker.start()`."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        """Wrap a process that has said it is ready."""
        self._process = process
        self._pipe = pipe
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="guard-worker")
        self._waiting: list[_Waiting] = []
        self._draining: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, threads: int = 1) -> Self:
        """Start the process and wait until its model is loaded.

        Raises:
            WorkerDied: the model did not load; the process has said why on stderr.
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, threads), name="guard-worker", daemon=True)
        process.start()
        theirs.close()
        worker = cls(process, ours)
        await worker._roundtrip(None)
        return worker

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid or 0

    async def score(self, text: str, heads: tuple[str, ...]) -> Work:
        """Score one text with the named heads, batched with whatever else waits.

        Raises:
            WorkerDied: the process is gone.
        """
        mine = _Waiting(text, heads, time.monotonic_ns())
        self._waiting.append(mine)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await mine.done

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            batch = [w for w in batch if not w.done.cancelled()]
            try:
                start_ns, end_ns, rows = await self._roundtrip([(writable(w.text), w.heads) for w in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, none of the batch may wait for ever
                for waiting in batch:
                    _settle(waiting.done, error)
                continue
            for waiting, row in zip(batch, rows, strict=True):
                _settle(waiting.done, Work(row, waiting.queued_ns, start_ns, end_ns))

    async def _roundtrip(self, message: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _ask, self._pipe, message)

    async def close(self) -> None:
        """Stop the process."""
        if self._draining is not None:
            self._draining.cancel()
        self._pipe.close()
        self._process.terminate()
        await asyncio.to_thread(self._process.join, 5)
        self._thread.shutdown(wait=False)


def _settle(future: asyncio.Future[Work], result: Work | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _ask(pipe: Connection, message: Any) -> Any:
    try:
        if message is not None:
            pipe.send_bytes(msgspec.msgpack.encode(message))
        return msgspec.msgpack.decode(pipe.recv_bytes())
    except (EOFError, OSError) as error:
        raise WorkerDied("the guard's worker process is gone") from error


def _serve(pipe: Connection, threads: int) -> None:
    """The worker's whole life: load, say so, answer batches until the pipe closes."""
    # A Ctrl-C in the terminal is the driver's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from guards.scorers.heads import HeadName, load_head
    from guards.scorers.minilm import MiniLm

    encoder = MiniLm.load(threads)
    heads = {name: load_head(name) for name in get_args(HeadName)}
    pipe.send_bytes(msgspec.msgpack.encode("ready"))
    while True:
        try:
            batch = msgspec.msgpack.decode(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        start_ns = time.monotonic_ns()
        rows: list[dict[str, float]] = [{} for _ in batch]
        for name, head in heads.items():
            wanted = [i for i, (_, names) in enumerate(batch) if name in names]
            if wanted:
                found = head.score(encoder, [batch[i][0] for i in wanted])
                for i, p in zip(wanted, found, strict=True):
                    rows[i][name] = float(p)
        pipe.send_bytes(msgspec.msgpack.encode((start_ns, time.monotonic_ns(), rows)))
