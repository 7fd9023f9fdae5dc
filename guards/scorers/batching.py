"""Texts that wait for a model, and when they become batches."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_WAITING = 10_000
"""Texts that may wait at once: beyond that a check fails, so that an overload cannot eat the memory."""


class WorkerFull(RuntimeError):
    """Too many texts wait for the worker already."""


@dataclass(frozen=True, slots=True)
class Batching:
    """When waiting texts become a batch.

    A batch leaves for an idle lane when `max_batch` texts wait, or when the oldest has waited `max_wait_ms`; at 0,
    whatever waits when a lane becomes idle makes up its next batch. `lanes` is how many batches are in work at once;
    texts that are due are shared between idle lanes.
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


@dataclass(frozen=True, slots=True)
class Waiting:
    """One text (plain data) and who waits for it."""

    item: Any
    queued_ns: int
    done: asyncio.Future[Work]

    def settle(self, result: Work | Exception) -> None:
        """Tell the asker, if it has not gone."""
        if self.done.done():
            return
        if isinstance(result, Exception):
            self.done.set_exception(result)
        else:
            self.done.set_result(result)


@dataclass
class Line:
    """The texts that wait, oldest first. One whose asker was cancelled leaves before the next batch is made."""

    batching: Batching
    now_ns: Callable[[], int] = time.monotonic_ns
    _waiting: deque[Waiting] = field(default_factory=deque)

    def add(self, item: Any) -> Waiting:
        """Put a text in the line.

        Raises:
            WorkerFull: there is no more room.
        """
        if len(self._waiting) >= MAX_WAITING:
            self._forget_gone()
            if len(self._waiting) >= MAX_WAITING:
                raise WorkerFull(f"{MAX_WAITING} texts wait for the worker already")
        added = Waiting(item, self.now_ns(), asyncio.get_running_loop().create_future())
        self._waiting.append(added)
        return added

    def left_s(self) -> float | None:
        """How long the next batch may wait still; at most 0 where it is due, None where nothing waits."""
        self._forget_gone()
        if not self._waiting:
            return None
        if len(self._waiting) >= self.batching.max_batch:
            return 0.0
        return self.batching.max_wait_ms / 1e3 - (self.now_ns() - self._waiting[0].queued_ns) / 1e9

    def take(self, lanes: int) -> list[list[Waiting]]:
        """At most `lanes` batches, all that waits shared between them as far as it fits."""
        self._forget_gone()
        share = min(self.batching.max_batch, -(-len(self._waiting) // lanes))
        batches: list[list[Waiting]] = []
        while self._waiting and len(batches) < lanes:
            batches.append([self._waiting.popleft() for _ in range(min(share, len(self._waiting)))])
        return batches

    def fail(self, error: Exception) -> None:
        """Tell all that wait."""
        fail(self._waiting, error)
        self._waiting.clear()

    def _forget_gone(self) -> None:
        if any(waiting.done.done() for waiting in self._waiting):
            self._waiting = deque(waiting for waiting in self._waiting if not waiting.done.done())


def fail(batch: Iterable[Waiting], error: Exception) -> None:
    """Tell every asker of a batch."""
    for waiting in batch:
        waiting.settle(error)
