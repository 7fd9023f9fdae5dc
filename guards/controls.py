"""Guards whose tax is known because they do nothing else: the controls of a calibration."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from guards.generation import Delta, GenerationRequest, Generator
from guards.pump import Pump
from guards.trace import Stage
from guards.waiting import until

# vLLM's own least temperature that is not greedy.
_NEARLY_GREEDY = 0.01


@dataclass(frozen=True)
class Null:
    """Passes everything on: what is left is the wrapper's own cost."""

    name: str = "null"

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The inner stream, delta by delta."""
        async with aclosing(inner.generate(request)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                yield delta


@dataclass(frozen=True)
class Delay:
    """Waits `delay_ms` before generation: a direct tax of as much on TTFT and E2EL."""

    delay_ms: float
    name: str = "delay"

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The inner stream, begun late."""
        trace = request.trace
        start_ns = trace.now_ns()
        await until(start_ns + round(self.delay_ms * 1e6), trace.now_ns)
        trace.span(self.name, Stage.QUEUE, start_ns, trace.now_ns(), critical=True)
        async with aclosing(inner.generate(request)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                yield delta


@dataclass(frozen=True)
class ChunkDelay:
    """Takes `delay_ms` over every chunk while the engine goes on.

    As long as chunks come further apart than that, TTFT and E2EL are taxed by one delay each.
    """

    delay_ms: float
    name: str = "chunk-delay"

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The inner stream, each chunk held back."""
        trace = request.trace
        async with Pump(inner.generate(request)) as stream:
            async for delta in stream:
                await until(trace.now_ns() + round(self.delay_ms * 1e6), trace.now_ns)
                trace.span(self.name, Stage.HOLD_BACK, delta.emitted_ns, trace.now_ns(), critical=True)
                yield delta


@dataclass(frozen=True)
class Doubler:
    """Has every answer generated twice and throws one away: half the engine's tokens are waste."""

    name: str = "doubler"

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The first candidate's stream."""
        sampling = request.sampling
        # vLLM refuses several candidates of greedy decoding, since they would be equal.
        warm = max(sampling.temperature, _NEARLY_GREEDY)
        doubled = replace(request, sampling=replace(sampling, n=2 * sampling.n, temperature=warm))
        async with aclosing(inner.generate(doubled)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                if delta.index < request.sampling.n:
                    yield delta


class Background(Protocol):
    """Work that goes on beside the requests, between `resume` and `pause`."""

    def resume(self) -> None:
        """Begin to work now and then."""
        ...

    def pause(self) -> None:
        """Stop at once."""
        ...

    def bursts(self, since_ns: int) -> Sequence[tuple[int, int]]:
        """Start and end (monotonic ns) of each stretch of work that ended after `since_ns`, or goes on."""
        ...


class WhileServing:
    """Runs `work` while any request is being served, and writes its bursts into the requests' traces."""

    def __init__(self, work: Background, name: str = "burner") -> None:
        """Nothing runs before the first request."""
        self.work, self.name = work, name
        self._serving = 0

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The inner stream, with the work beside it."""
        trace = request.trace
        began_ns = trace.now_ns()
        self._serving += 1
        if self._serving == 1:
            self.work.resume()
        try:
            async with aclosing(inner.generate(request)) as stream:  # type: ignore[type-var]
                async for delta in stream:
                    yield delta
        finally:
            self._serving -= 1
            if not self._serving:
                self.work.pause()
            for start_ns, end_ns in self.work.bursts(began_ns):
                trace.span(self.name, Stage.WORK, start_ns, end_ns, critical=False)
