"""When waiting texts become a batch, who is in it, and how idle lanes share them."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guards.scorers import batching
from guards.scorers.batching import Batching, Line, WorkerFull

MS = 1_000_000


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def in_loop(work: Callable[[], None]) -> None:
    async def run() -> None:
        work()

    asyncio.run(run())


def test_a_batch_is_due_when_its_oldest_text_has_waited_or_when_it_is_full() -> None:
    def work() -> None:
        clock = Clock()
        line = Line(Batching(max_batch=3, max_wait_ms=5), clock)
        assert line.left_s() is None
        line.add("a")
        clock.now_ns = 4 * MS
        line.add("b")
        assert line.left_s() == pytest.approx(0.001)
        clock.now_ns = 6 * MS
        assert (line.left_s() or 0) < 0
        clock.now_ns = 4 * MS
        line.add("c")
        assert line.left_s() == 0.0

    in_loop(work)


def test_without_a_deadline_whatever_waits_is_due() -> None:
    def work() -> None:
        line = Line(Batching(), Clock())
        line.add("a")
        assert line.left_s() == 0.0

    in_loop(work)


@given(st.integers(0, 70), st.integers(1, 9), st.integers(1, 4))
def test_batches_are_no_fuller_than_allowed_share_the_load_and_keep_the_order(
    texts: int, max_batch: int, lanes: int
) -> None:
    def work() -> None:
        line = Line(Batching(max_batch))
        for text in range(texts):
            line.add(text)
        taken = line.take(lanes)
        sizes = [len(batch) for batch in taken]
        assert [waiting.item for batch in taken for waiting in batch] == list(range(sum(sizes)))
        assert sum(sizes) == min(texts, lanes * max_batch)
        assert all(0 < size <= max_batch for size in sizes)
        assert len(sizes) == min(lanes, texts) or max(sizes) - min(sizes) <= lanes

    in_loop(work)


def test_a_text_whose_asker_has_gone_is_in_no_batch_and_sets_no_deadline() -> None:
    def work() -> None:
        clock = Clock()
        line = Line(Batching(max_batch=2, max_wait_ms=5), clock)
        gone = line.add("gone")
        clock.now_ns = 4 * MS
        line.add("here")
        gone.done.cancel()
        assert line.left_s() == pytest.approx(0.005)
        assert [[waiting.item for waiting in batch] for batch in line.take(1)] == [["here"]]

    in_loop(work)


def test_the_line_has_an_end_and_those_who_left_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_WAITING", 3)

    def work() -> None:
        line = Line(Batching())
        first, _, _ = (line.add(text) for text in "abc")
        with pytest.raises(WorkerFull, match="3 texts wait"):
            line.add("d")
        first.done.cancel()
        line.add("d")

    in_loop(work)
