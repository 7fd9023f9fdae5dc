"""A request inside the modelled engine, and the way of its deltas to their reader."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from guards.generation import Delta, EngineDied, GenerationRequest
from profiler.engines.modelled_text import Answer


@dataclass(eq=False, slots=True)
class Sequence:
    """One candidate of a job."""

    job: "Job"
    index: int
    answer: Answer
    emitted: int = 0


@dataclass(eq=False, slots=True)
class Job:
    """A request: `open` counts the candidates that the engine has not finished."""

    request: GenerationRequest
    queued_ns: int
    prompt_tokens: int
    prefill_left: int
    sequences: tuple[Sequence, ...] = ()
    open: int = 0
    scheduled_ns: int = 0
    first_token_ns: int = 0
    deltas: deque[Delta] = field(default_factory=deque)
    error: Exception | None = None
    reader: asyncio.Future[None] | None = None

    def put(self, delta: Delta) -> None:
        """Give the reader a delta."""
        self.deltas.append(delta)
        self._wake()

    def fail(self, error: Exception) -> None:
        """End the stream, after what it holds, because the engine died."""
        self.open = 0
        self.error = error
        self._wake()

    def _wake(self) -> None:
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    async def get(self) -> Delta:
        """The next delta.

        Raises:
            EngineDied: the engine died and everything before that has been read.
        """
        while not self.deltas:
            if self.error is not None:
                raise EngineDied(str(self.error)) from self.error
            self.reader = asyncio.get_running_loop().create_future()
            await self.reader
        return self.deltas.popleft()
