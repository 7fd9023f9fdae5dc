"""A stack: guards in order round a generator. It is itself a generator."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from guards.generation import Delta, GenerationRequest, Generator
from guards.guard import Guard
from guards.joint import Joint
from guards.output_filter import OutputFilter


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

    Neighbouring output filters judge the same text together, each at its own pace, as one guard. One that rewrites
    stays by itself: what is outside it judges what it wrote. With no guard this is the generator itself.
    """
    for guard in reversed(list(_joined(guards))):
        generator = Guarded(guard, generator)
    return generator


def _joined(guards: Sequence[Guard]) -> Iterator[Guard]:
    for together, group in groupby(guards, key=_joins):
        members = list(group)
        if together and len(members) > 1:
            yield Joint(tuple(guard for guard in members if isinstance(guard, OutputFilter)))
        else:
            yield from members


def _joins(guard: Guard) -> bool:
    return isinstance(guard, OutputFilter) and guard.policy.action != "rewrite"
