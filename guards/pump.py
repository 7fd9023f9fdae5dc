"""Read a stream ahead, so that it keeps flowing while a guard thinks."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from guards.generation import Delta


class Direct:
    """A stream read as it is, for a guard that never waits; with the face of a `Pump`'s `news`."""

    def __init__(self, source: AsyncIterator[Delta]) -> None:
        """Take over `source`."""
        self._source = source
        self.ended = False

    async def __aenter__(self) -> Self:
        """Nothing is begun."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        await self._source.aclose()  # type: ignore[attr-defined]

    def wake(self, *_: object) -> None:
        """Nobody ever waits for anything else."""

    async def news(self) -> Delta | None:
        """The next delta; None at the end.

        Raises:
            Exception: whatever the stream raises.
        """
        async for delta in self._source:
            return delta
        self.ended = True
        return None


class Pump:
    """Runs a stream in a task of its own; iterate it to get the deltas in order.

    Leaving the context before the end cancels the task, which closes the stream and so aborts the
    work behind it. An error of the stream is raised to the reader at its place in the order.
    """

    def __init__(self, source: AsyncIterator[Delta]) -> None:
        """Take over `source`; nothing runs before the context is entered."""
        self._source = source
        # A deque and a future in place of asyncio.Queue: half a microsecond of CPU less for every delta.
        self._deltas: deque[Delta] = deque()
        self._ended = self._told = self._woken = False
        self._reader: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start reading."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading; wait until the stream is closed."""
        if self._task is None:
            return
        if not self._task.done():
            self._task.cancel()
        # A failure was raised to the reader already, or the reader has left and wants no more of it.
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        deltas = self._deltas
        try:
            async with aclosing(self._source) as source:  # type: ignore[type-var]
                async for delta in source:
                    deltas.append(delta)
                    self._wake()
        finally:
            self._ended = True
            self._wake()

    @property
    def ended(self) -> bool:
        """Whether the end of the stream was read."""
        return self._told

    def wake(self, *_: object) -> None:
        """Let `news` return: something else has happened."""
        self._woken = True
        self._wake()

    async def news(self) -> Delta | None:
        """The next delta; None, in its place among them, once at the end and whenever `wake` was called.

        Raises:
            Exception: whatever the stream raised, at its end.
        """
        while not self._deltas:
            if self._woken:
                self._woken = False
                return None
            if self._ended and not self._told:
                self._told = True
                if self._task is not None:
                    await self._task
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._deltas.popleft()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def __aiter__(self) -> "Pump":
        """The deltas in order."""
        return self

    async def __anext__(self) -> Delta:
        """The next delta, waiting for it if need be."""
        while not self._deltas:
            if self._ended:
                if self._task is not None:
                    await self._task
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._deltas.popleft()
