"""Dispatch, in virtual time: on time whatever earlier requests do, and structured."""

import asyncio
import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guards.generation import GenerationRequest, Message, Sampling
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.load import closed_loop, open_loop, poisson, quiet_gc


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 5_000_000), max_size=40).map(lambda gaps: np.cumsum(gaps, dtype=np.int64)),
    st.integers(0, 10**10),
)
def test_each_request_is_sent_at_its_time_however_long_the_others_take(
    offsets_ns: np.ndarray[tuple[int], np.dtype[np.int64]], service_ns: int
) -> None:
    sent: list[tuple[int, int, int]] = []

    async def send(index: int, scheduled_ns: int) -> None:
        sent.append((index, scheduled_ns, now_ns()))
        await asyncio.sleep(service_ns / 1e9)

    async def main() -> tuple[int, int]:
        return await open_loop(offsets_ns, send, now_ns=now_ns), now_ns()

    start_ns, end_ns = run_virtual(main)
    due = (start_ns + offsets_ns).tolist()
    assert sent == [(index, due_ns, due_ns) for index, due_ns in enumerate(due)]
    assert end_ns == (due[-1] + service_ns if due else start_ns)


def test_a_thousand_a_second_against_the_modelled_engine() -> None:
    engine_parameters = ModelParameters(max_num_seqs=64)
    lags = []

    async def main() -> int:
        engine = ModelledEngine(engine_parameters, now_ns=now_ns)

        async def send(index: int, scheduled_ns: int) -> None:
            lags.append(now_ns() - scheduled_ns)
            sampling = Sampling(max_tokens=8, ignore_eos=True)
            request = GenerationRequest(str(index), (Message("user", "word " * 50),), sampling)
            async for _ in engine.generate(request):
                pass

        await open_loop(poisson(1000, 1000, seed=0), send, now_ns=now_ns)
        return engine.counters().generation_tokens

    assert run_virtual(main) == 8000
    assert max(lags) == 0


def test_a_late_request_keeps_its_scheduled_time() -> None:
    """The lag is the load generator's own fault, and must be seen."""
    clock = iter(range(0, 10**12, 10**9))
    scheduled = []

    async def send(index: int, scheduled_ns: int) -> None:
        scheduled.append(scheduled_ns)

    offsets = np.array([0, 1, 2], dtype=np.int64)
    asyncio.run(open_loop(offsets, send, now_ns=lambda: next(clock)))
    assert scheduled == [0, 1, 2]


def test_offsets_must_not_decrease() -> None:
    async def send(index: int, scheduled_ns: int) -> None:
        raise AssertionError("nothing should be sent")

    offsets = np.array([1, 0], dtype=np.int64)
    with pytest.raises(ValueError, match="decrease"):
        run_virtual(lambda: open_loop(offsets, send, now_ns=now_ns))


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_cancelling_the_load_cancels_every_request(loop: str) -> None:
    outcomes: list[str] = []

    async def send(index: int, scheduled_ns: int) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise

    async def main() -> None:
        offsets = np.arange(1000, dtype=np.int64) * 10**9
        load = open_loop(offsets, send, now_ns=now_ns) if loop == "open" else closed_loop(1000, 5, send, now_ns=now_ns)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4.5):
                await load
        assert outcomes == ["cancelled"] * 5
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main)


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_a_send_that_raises_stops_the_load(loop: str) -> None:
    sent: list[int] = []

    async def send(index: int, scheduled_ns: int) -> None:
        sent.append(index)
        await asyncio.sleep(1)
        if index == 2:
            raise LookupError("a bug in send")

    async def main() -> None:
        offsets = np.arange(100, dtype=np.int64) * 10**9
        if loop == "open":
            await open_loop(offsets, send, now_ns=now_ns)
        else:
            await closed_loop(100, 1, send, now_ns=now_ns)

    with pytest.raises(ExceptionGroup) as caught:
        run_virtual(main)
    assert caught.group_contains(LookupError, match="a bug in send")
    assert len(sent) <= 4


@given(n=st.integers(0, 30), users=st.integers(1, 8), service_ms=st.lists(st.integers(1, 50), min_size=30))
def test_closed_loop_keeps_every_user_busy_and_sends_everything_once(n: int, users: int, service_ms: list[int]) -> None:
    sent: list[int] = []
    busy = 0
    most = 0

    async def send(index: int, scheduled_ns: int) -> None:
        nonlocal busy, most
        assert scheduled_ns == now_ns()
        sent.append(index)
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(service_ms[index] / 1e3)
        busy -= 1

    async def main() -> int:
        return now_ns() - await closed_loop(n, users, send, now_ns=now_ns, stagger_ns=0)

    elapsed_ns = run_virtual(main)
    work_ns = sum(service_ms[:n]) * 10**6
    assert sent == list(range(n))
    assert most == min(n, users)
    # No user rests while there is work: Graham's bound for list scheduling.
    assert elapsed_ns <= work_ns / users + max(service_ms[:n], default=0) * 10**6


def test_users_begin_apart_and_then_go_on_when_they_are_free() -> None:
    scheduled: list[int] = []

    async def send(index: int, scheduled_ns: int) -> None:
        scheduled.append(scheduled_ns)
        await asyncio.sleep(0.1)

    async def main() -> list[int]:
        start_ns = await closed_loop(6, 3, send, now_ns=now_ns)
        return [(at - start_ns) // 10**6 for at in scheduled]

    assert run_virtual(main) == [0, 5, 10, 100, 105, 110]


def test_a_user_who_begins_late_was_still_due_before() -> None:
    """Another user's start holds the loop: the lag must show."""
    clock_ns = 0
    lags_ms: list[float] = []

    async def send(index: int, scheduled_ns: int) -> None:
        nonlocal clock_ns
        lags_ms.append((clock_ns - scheduled_ns) / 1e6)
        clock_ns += 8 * 10**6
        await asyncio.sleep(0)

    asyncio.run(closed_loop(2, 2, send, now_ns=lambda: clock_ns))
    assert lags_ms == [0, 3]


def test_no_users_is_refused() -> None:
    async def send(index: int, scheduled_ns: int) -> None:
        raise AssertionError("nothing should be sent")

    with pytest.raises(ValueError, match="users"):
        run_virtual(lambda: closed_loop(3, 0, send, now_ns=now_ns))


def test_the_collector_is_off_inside_and_on_after_even_nested_or_after_an_error() -> None:
    with quiet_gc():
        assert not gc.isenabled()
        with quiet_gc():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(LookupError), quiet_gc():
        raise LookupError
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
