"""Answers in given pieces, and what a stack of guards makes of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.guard import Guard
from guards.stack import stack
from guards.trace import Trace
from guards.verdict import Action, TextSpan, Verdict


@dataclass
class Pieces:
    """A generator that emits given pieces, one token each, and notes how far it was read."""

    pieces: Sequence[str]
    emitted: list[str] = field(default_factory=list)
    closed_early: bool = False

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        try:
            for number, piece in enumerate(self.pieces, 1):
                await asyncio.sleep(0)
                self.emitted.append(piece)
                last = number == len(self.pieces)
                yield Delta(piece, 1, request.trace.now_ns(), finish_reason="stop" if last else None)
        except GeneratorExit:
            self.closed_early = True
            raise


@dataclass(frozen=True)
class Delivered:
    """What reached the user, and the trace that it left."""

    deltas: list[Delta]
    trace: Trace

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def tokens(self) -> int:
        return sum(delta.tokens for delta in self.deltas)

    @property
    def finish_reasons(self) -> list[str]:
        return [delta.finish_reason for delta in self.deltas if delta.finish_reason is not None]

    def verdicts(self, guard: str) -> list[Verdict]:
        return [given.verdict for given in self.trace.verdicts if given.guard == guard]

    def spans(self, guard: str, action: Action) -> set[TextSpan]:
        return {span for verdict in self.verdicts(guard) if verdict.action is action for span in verdict.spans}


def run(source: Pieces, *guards: Guard) -> Delivered:
    request = GenerationRequest("r", (Message("user", "p"),), Sampling())

    async def work() -> list[Delta]:
        return [delta async for delta in stack(source, guards).generate(request)]

    return Delivered(asyncio.run(work()), request.trace)


def split(text: str, cuts: Sequence[int]) -> list[str]:
    """`text` in pieces, cut at each of `cuts` modulo its length."""
    edges = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]
