"""Candidates of a request: sampled some at a time, each with a seed of its own, and what became of each."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from guards.generation import Delta, EngineDied, GenerationError, GenerationRequest, Generator

# How a candidate ends that is no answer: the engine gave it up, or a guard inside cut it.
_BROKEN = ("abort", "cut")


@dataclass(slots=True)
class Candidate:
    """One candidate, as far as it came. `number` counts all candidates of the request from 0."""

    number: int
    deltas: list[Delta] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(delta.text for delta in self.deltas)

    @property
    def ending(self) -> str:
        """Its finish reason; nothing where it has not ended."""
        return (self.deltas[-1].finish_reason or "") if self.deltas else ""

    @property
    def whole(self) -> bool:
        """Whether it is an answer: it came to its end."""
        return self.ending not in ("", *_BROKEN)

    @property
    def last_ns(self) -> int:
        """When its last token left the engine."""
        return self.deltas[-1].emitted_ns

    def as_delta(self) -> Delta:
        """All of it in one piece."""
        tokens = sum(delta.tokens for delta in self.deltas)
        return replace(self.deltas[-1], text=self.text, tokens=tokens, index=0)


@dataclass(frozen=True, slots=True)
class Sampled:
    """The candidates of one call of the engine, when it was made and over (ns), and how it failed, if it did."""

    candidates: tuple[Candidate, ...]
    sent_ns: int
    ended_ns: int
    error: GenerationError | None


async def sample(request: GenerationRequest, inner: Generator, first: int, count: int, temperature: float) -> Sampled:
    """Sample the candidates `first` to `first + count - 1` in one call.

    vLLM gives candidate i of a call the call's seed + i, so that a candidate's seed, the request's + its number,
    is the same however many are asked for at a time. A call that fails loses what it has not finished.

    Raises:
        EngineDied: the engine is gone.
    """
    sampling = replace(request.sampling, n=count, temperature=temperature, seed=request.sampling.seed + first)
    candidates = {i: Candidate(first + i) for i in range(count)}
    sent_ns, failure = request.trace.now_ns(), None
    try:
        await _read(inner.generate(replace(request, sampling=sampling)), candidates)
    except EngineDied:
        raise
    except GenerationError as error:
        failure = error.with_traceback(None)  # kept without the frames that it went through
    return Sampled(tuple(candidates.values()), sent_ns, request.trace.now_ns(), failure)


async def _read(stream: AsyncIterator[Delta], candidates: dict[int, Candidate]) -> None:
    async with aclosing(stream):  # type: ignore[type-var]
        async for delta in stream:
            if delta.index not in candidates:
                raise GenerationError(f"a piece of candidate {delta.index} came, {len(candidates)} were asked for")
            candidates[delta.index].deltas.append(delta)
