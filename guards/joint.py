"""Output filters that judge one engine's text together, each at its own pace; one filter is the case of one.

    engine   |--------------------------------------|
    16 tok   |--v--v--v--v--v--v--v--v--v--v--v--v--|    each judges the engine's text, at once
    64 tok   |-----------v-----------v-----------v--|    text goes out when all that hold it have passed it

Filters with `release: after` hold text, those with "first" watch it go. The first block cuts. The
others then judge at once what stands before the cut, so that neither text nor marks depend on whose chunk was full.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from guards.generation import Delta, GenerationRequest, Generator
from guards.lane import Lane
from guards.pump import Direct, Pump
from guards.span_watch import SpanWatch
from guards.spans import span_scorer
from guards.standing import FilterSettings, Watch
from guards.window_watch import WindowWatch


@dataclass(frozen=True)
class Joint:
    """Neighbouring output filters of a stack as one guard. Spans and verdicts keep their own names."""

    filters: tuple[FilterSettings, ...]

    @property
    def name(self) -> str:
        """All their names."""
        return "+".join(one.name for one in self.filters)

    def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """Stream the answer as all of them let it."""
        return filtered(self.filters, request, inner)


async def filtered(
    filters: Sequence[FilterSettings], request: GenerationRequest, inner: Generator
) -> AsyncIterator[Delta]:
    """The stream of `inner` as `filters` let it go out; each of several candidates by itself."""
    lanes: dict[int, Lane] = {}
    source = Direct if all(span_scorer(one.scorer) is not None for one in filters) else Pump
    async with source(inner.generate(request)) as stream:
        try:
            while not _ended(lanes, stream, request):
                delta = await stream.news()
                if delta is not None:
                    if delta.index not in lanes:
                        lanes[delta.index] = Lane(_watches(filters, request, stream), request.trace)
                    for out in lanes[delta.index].add(delta):
                        yield out
                    continue
                for lane in lanes.values():
                    for out in lane.proceed(ended=stream.ended):
                        yield out
        finally:
            await asyncio.gather(*(watch.close() for lane in lanes.values() for watch in lane.watches))


def _ended(lanes: dict[int, Lane], stream: Pump | Direct, request: GenerationRequest) -> bool:
    """All was delivered. After a cut, what the engine still has to say is of no interest."""
    for lane in lanes.values():
        if not lane.over:
            return False
    return stream.ended or (len(lanes) == request.sampling.n and any(lane.cut for lane in lanes.values()))


def _watches(filters: Sequence[FilterSettings], request: GenerationRequest, stream: Pump | Direct) -> list[Watch]:
    found: list[Watch] = []
    for one in filters:
        if (scorer := span_scorer(one.scorer)) is not None:
            found.append(SpanWatch(one, scorer, request))
        else:
            found.append(WindowWatch(one, request, stream.wake, alone=len(filters) == 1))
    return found
