"""Threads for work that may hang: the interpreter does not wait for them at its end, as it does for executors."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from queue import SimpleQueue
from typing import Any, TypeVar

from guards.told import told

_UNFIT = (StopIteration, CancelledError)

T = TypeVar("T")


class DaemonThreads:
    """At most `limit` threads, started as they are needed; work beyond that waits its turn."""

    def __init__(self, limit: int = 4) -> None:
        """Nothing is started yet."""
        self._limit, self._started, self._idle = limit, 0, threading.Semaphore(0)
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`, done in a thread; cancelled before its turn, it is never begun.

        Raises:
            Exception: whatever `work` raises; a RuntimeError that names it where it is no exception to await.
        """
        done: Future[T] = Future()
        self._jobs.put((done, work))
        if not self._idle.acquire(blocking=False) and self._started < self._limit:
            self._started += 1
            threading.Thread(target=self._serve, name="guard-callable", daemon=True).start()
        return await asyncio.wrap_future(done)

    def _serve(self) -> None:
        while True:
            done, work = self._jobs.get()
            if done.set_running_or_notify_cancel():
                _settle(done, work)
            del done, work  # nothing of a request outlives it while the thread waits
            self._idle.release()


def _settle(done: Future[T], work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001 - the thread must live on; the waiter gets the error
        # A future cannot carry a StopIteration; the rest would end the waiter's task, or the loop, in place of a check.
        plain = isinstance(error, Exception) and not isinstance(error, _UNFIT)
        done.set_exception(error if plain else RuntimeError(told(error)))
