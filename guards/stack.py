"""A stack: guards in order round a generator. It is itself a generator."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from guards.generation import Delta, GenerationRequest, Generator
from guards.guard import Guard


@dataclass(frozen=True)
class Guarded:
    """One guard bound to what it wraps."""

    guard: Guard
    inner: Generator

    def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        """Answer through the guard."""
        return self.guard.generate(request, self.inner)


def stack(generator: Generator, guards: Sequence[Guard]) -> Generator:
    """Wrap `generator` in `guards`; the first is the outermost, so it sees the prompt first.

    With no guard this is the generator itself.
    """
    for guard in reversed(guards):
        generator = Guarded(guard, generator)
    return generator
