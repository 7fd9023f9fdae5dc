"""The pump: deltas in order, errors in their place, and nothing left running."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from guards.generation import Delta, GenerationError
from guards.pump import Direct, Pump


@dataclass
class Source:
    """Emits numbered deltas, `burst` at a time, then fails if told to; notes what became of it."""

    n: int
    burst: int = 1
    fails: bool = False
    emitted: int = 0
    closed: bool = field(default=False)

    async def stream(self) -> AsyncIterator[Delta]:
        try:
            for number in range(self.n):
                if number % self.burst == 0:
                    await asyncio.sleep(0)
                self.emitted += 1
                yield Delta(str(number), 1, number)
            if self.fails:
                raise GenerationError("the engine failed")
        finally:
            self.closed = True


@pytest.mark.parametrize("burst", [1, 3, 100])
def test_every_delta_comes_once_and_in_order(burst: int) -> None:
    async def work() -> list[int]:
        async with Pump(Source(20, burst).stream()) as stream:
            return [delta.emitted_ns async for delta in stream]

    assert asyncio.run(work()) == list(range(20))


def test_the_stream_is_read_ahead_while_its_reader_thinks() -> None:
    source = Source(5)

    async def work() -> int:
        async with Pump(source.stream()) as stream:
            await anext(stream)
            for _ in range(20):
                await asyncio.sleep(0)
            return source.emitted

    assert asyncio.run(work()) == 5


def test_an_error_comes_after_the_deltas_before_it_and_again_to_who_asks_again() -> None:
    async def work() -> list[int]:
        seen = []
        async with Pump(Source(3, fails=True).stream()) as stream:
            with pytest.raises(GenerationError, match="the engine failed"):
                async for delta in stream:
                    seen.append(delta.emitted_ns)
            with pytest.raises(GenerationError, match="the engine failed"):
                await anext(stream)
        return seen

    assert asyncio.run(work()) == [0, 1, 2]


def test_a_stream_that_has_ended_stays_ended() -> None:
    async def work() -> bool:
        async with Pump(Source(1).stream()) as stream:
            await anext(stream)
            return all([await anext(stream, None) is None for _ in range(2)])

    assert asyncio.run(work())


def test_news_are_deltas_in_order_then_the_end_and_whatever_woke_the_reader() -> None:
    async def work() -> list[int | None]:
        async with Pump(Source(2).stream()) as stream:
            found = []
            for _ in range(4):
                delta = await stream.news()
                found.append(None if delta is None else delta.emitted_ns)
                if delta is None and stream.ended:
                    stream.wake()
            return found

    assert asyncio.run(work()) == [0, 1, None, None]


@pytest.mark.parametrize("kind", [Pump, Direct])
def test_news_of_an_error_come_after_the_deltas_before_it(kind: type[Pump | Direct]) -> None:
    source = Source(3, fails=True)

    async def work() -> list[int]:
        seen = []
        async with kind(source.stream()) as stream:
            with pytest.raises(GenerationError, match="the engine failed"):
                while (delta := await stream.news()) is not None:
                    seen.append(delta.emitted_ns)
        return seen

    assert asyncio.run(work()) == [0, 1, 2]
    assert source.closed


def test_a_stream_read_directly_is_closed_by_who_leaves_early() -> None:
    source = Source(1000)

    async def work() -> None:
        async with Direct(source.stream()) as stream:
            await stream.news()
            assert not stream.ended

    asyncio.run(work())
    assert (source.closed, source.emitted) == (True, 1)


def test_leaving_early_closes_the_source() -> None:
    source = Source(1000)

    async def work() -> None:
        async with Pump(source.stream()) as stream:
            await anext(stream)
        assert source.closed

    asyncio.run(work())
    assert source.emitted < 1000


def test_a_cancelled_reader_closes_the_source() -> None:
    source = Source(1)

    async def read() -> None:
        async with Pump(source.stream()) as stream:
            await anext(stream)
            await asyncio.Event().wait()

    async def work() -> None:
        task = asyncio.create_task(read())
        while not source.emitted:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert source.closed
