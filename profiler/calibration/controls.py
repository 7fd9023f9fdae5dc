"""Controls for the modelled engine: delays whose mean is known, and bursts of known contention."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from random import Random

from guards.generation import Delta, GenerationRequest, Generator
from guards.pump import Pump
from guards.trace import Stage
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns

# A scorer's time varies from text to text. A delay that never did would be recovered without any error,
# and its interval would prove nothing.
_SHAPE = 16.0


class SpreadDelay:
    """Waits before generation: gamma distributed, mean `mean_ms`, spread a quarter of that."""

    def __init__(self, mean_ms: float, seed: str, name: str = "delay") -> None:
        """`seed` of the delays drawn."""
        self.mean_ms, self.name = mean_ms, name
        self._random = Random(seed)

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The inner stream, begun late."""
        start_ns = now_ns()
        await asyncio.sleep(_gamma_s(self._random, self.mean_ms))
        request.trace.span(self.name, Stage.QUEUE, start_ns, now_ns(), critical=True)
        async with aclosing(inner.generate(request)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                yield delta


class SpreadChunkDelay:
    """Takes its time over every chunk while the engine goes on; distributed as `SpreadDelay`."""

    def __init__(self, mean_ms: float, seed: str, name: str = "chunk-delay") -> None:
        """`seed` of the delays drawn."""
        self.mean_ms, self.name = mean_ms, name
        self._random = Random(seed)

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The inner stream, each chunk held back."""
        async with Pump(inner.generate(request)) as stream:
            async for delta in stream:
                await asyncio.sleep(_gamma_s(self._random, self.mean_ms))
                request.trace.span(self.name, Stage.HOLD_BACK, delta.emitted_ns, now_ns(), critical=True)
                yield delta


class ModelledBursts:
    """Slows the modelled engine by `extra` in bursts, `share` of the time: a `Background`.

    A step that takes t takes t * (1 + extra) during a burst. Gaps are exponential.
    """

    def __init__(self, engine: ModelledEngine, extra: float, share: float, burst_s: float, seed: str) -> None:
        """Nothing runs before `resume`."""
        self._engine, self._extra, self._burst_s = engine, extra, burst_s
        self._gap_s = burst_s * (1 - share) / share
        self._random = Random(seed)
        self._done: list[tuple[int, int]] = []
        self._began_ns = 0
        self._task: asyncio.Task[None] | None = None

    def resume(self) -> None:
        """Begin to work now and then."""
        self._done.clear()
        self._task = asyncio.create_task(self._work())

    def pause(self) -> None:
        """Stop at once."""
        if self._task is not None:
            self._task.cancel()
        self._note_end()

    def bursts(self, since_ns: int) -> Sequence[tuple[int, int]]:
        """The bursts since then; one that goes on ends now."""
        found = [burst for burst in self._done if burst[1] > since_ns]
        return [*found, (self._began_ns, now_ns())] if self._began_ns else found

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / self._gap_s))
            with self._engine.busy(self._extra):
                self._began_ns = now_ns()
                await asyncio.sleep(self._burst_s)
            self._note_end()

    def _note_end(self) -> None:
        if self._began_ns:
            self._done.append((self._began_ns, now_ns()))
            self._began_ns = 0


def _gamma_s(random: Random, mean_ms: float) -> float:
    return random.gammavariate(_SHAPE, mean_ms / 1e3 / _SHAPE)
