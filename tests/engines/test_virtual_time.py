"""Virtual time: exact, ordered, fast, and loud about what it cannot do."""

import asyncio
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.engines.virtual_time import Deadlock, NotVirtual, now_ns, run_virtual


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=20))
def test_sleeps_end_exactly_when_they_should(sleeps_ns: list[int]) -> None:
    async def main() -> list[int]:
        ends = []
        for sleep_ns in sleeps_ns:
            begun = now_ns()
            await asyncio.sleep(sleep_ns / 1e9)
            ends.append(now_ns() - begun)
        return ends

    assert run_virtual(main) == sleeps_ns


@given(st.integers(0, 10**15), st.lists(st.integers(0, 20), min_size=1, max_size=20))
def test_timers_a_nanosecond_apart_stay_apart(long_ns: int, sleeps_ns: list[int]) -> None:
    async def sleeper(sleep_ns: int) -> int:
        begun = now_ns()
        await asyncio.sleep(sleep_ns / 1e9)
        return now_ns() - begun

    async def main() -> list[int]:
        await asyncio.sleep(long_ns / 1e9)
        return await asyncio.gather(*map(sleeper, sleeps_ns))

    assert run_virtual(main) == sleeps_ns


def test_the_clock_ends_before_it_grows_coarse() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(1e5)

    with pytest.raises(OverflowError, match="2e6 s"):
        run_virtual(main)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_sleepers_wake_in_the_order_of_their_times(sleeps_ms: list[int]) -> None:
    async def main() -> list[int]:
        woken: list[int] = []

        async def sleeper(ms: int) -> None:
            await asyncio.sleep(ms / 1e3)
            woken.append(ms)

        await asyncio.gather(*map(sleeper, sleeps_ms))
        return woken

    assert run_virtual(main) == sorted(sleeps_ms)


def test_time_stands_still_while_work_is_ready() -> None:
    async def main() -> int:
        begun = now_ns()
        for _ in range(1000):
            await asyncio.sleep(0)
        return now_ns() - begun

    assert run_virtual(main) == 0


def test_a_week_passes_without_waiting() -> None:
    async def main() -> int:
        begun = now_ns()
        await asyncio.sleep(7 * 86400)
        return now_ns() - begun

    assert run_virtual(main) == 7 * 86400 * 10**9


def test_timeouts_are_virtual_too() -> None:
    async def main() -> int:
        begun = now_ns()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.sleep(3600)
        return now_ns() - begun

    assert run_virtual(main) == 60 * 10**9


def test_waiting_for_nothing_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="nothing is ready"):
        run_virtual(main)


def test_a_deadlock_still_cleans_up() -> None:
    cleaned = []

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(Deadlock):
        run_virtual(main)
    assert cleaned == [True]


def test_threads_are_refused() -> None:
    async def main() -> None:
        await asyncio.to_thread(time.time)

    with pytest.raises(NotVirtual, match="thread"):
        run_virtual(main)


def test_open_descriptors_are_refused() -> None:
    async def main() -> None:
        reader, writer = os.pipe()
        loop = asyncio.get_running_loop()
        loop.add_reader(reader, lambda: None)
        try:
            await asyncio.sleep(1)
        finally:
            loop.remove_reader(reader)
            os.close(reader)
            os.close(writer)

    with pytest.raises(NotVirtual, match="socket"):
        run_virtual(main)


def test_the_clock_of_a_real_loop_is_refused() -> None:
    async def main() -> int:
        return now_ns()

    with pytest.raises(NotVirtual, match="run_virtual"):
        asyncio.run(main())


def test_errors_come_out() -> None:
    async def main() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run_virtual(main)


def test_half_a_nanosecond_passes_too() -> None:
    # At this time half a nanosecond is a little less in floating point, and rounds to nothing.
    async def main() -> int:
        await asyncio.sleep((933_366_065_661 - now_ns()) / 1e9)
        await asyncio.sleep(0.5e-9)
        return now_ns()

    assert run_virtual(main) == 933_366_065_662
