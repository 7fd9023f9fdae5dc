"""The tap: notes in a request's trace what crosses the engine's boundary, in every arm alike."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from guards.generation import Delta, GenerationRequest, Generator
from guards.trace import EngineCall


@dataclass(frozen=True)
class Tap:
    """Wraps an engine; passes every delta on unchanged."""

    engine: Generator

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        """Stream the engine's deltas and, at the end or the abort, record the call."""
        trace = request.trace
        sent_ns = trace.now_ns()
        chunk_ns: list[int] = []
        chunk_tokens: list[int] = []
        finish, times, done, prompt_tokens = "abort", None, 0, 0
        try:
            async with aclosing(self.engine.generate(request)) as stream:  # type: ignore[type-var]
                async for delta in stream:
                    chunk_ns.append(delta.emitted_ns)
                    chunk_tokens.append(delta.tokens)
                    prompt_tokens = delta.prompt_tokens
                    if delta.finish_reason is not None:
                        finish, times, done = delta.finish_reason, delta.times, done + 1
                    yield delta
        finally:
            first_ns, last_ns = (chunk_ns[0], chunk_ns[-1]) if chunk_ns else (0, 0)
            aborted = done < request.sampling.n
            call = EngineCall(
                sent_ns, first_ns, last_ns, trace.now_ns(), sum(chunk_tokens), finish, aborted, times,
                tuple(chunk_ns), tuple(chunk_tokens), request.sampling.n, prompt_tokens,
            )  # fmt: skip
            trace.engine_calls.append(call)
