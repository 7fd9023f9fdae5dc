"""The modelled engine: its times are the model's, its texts the seed's, and it honours the protocol."""

import asyncio
import statistics
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guards.generation import Delta, EngineDied, GenerationError, GenerationRequest, Message, Sampling
from profiler.engines.engine import Engine
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_noise import NoiseParameters, SpeedNoise
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.virtual_time import now_ns, run_virtual

MS = 1_000_000
# A step over s sequences and p prompt tokens takes 10 ms + 1 ms * s + 0.1 ms * p.
PLAIN = ModelParameters(
    prefill_ns_per_token=MS // 10,
    step_base_ns=10 * MS,
    step_ns_per_sequence=MS,
    max_batched_tokens=100,
    max_num_seqs=8,
    chars_per_token=1.0,
    mean_output_tokens=20.0,
)


def ask(
    request_id: str, *, prompt_tokens: int = 50, tokens: int = 4, n: int = 1, ignore_eos: bool = True
) -> GenerationRequest:
    sampling = Sampling(max_tokens=tokens, n=n, ignore_eos=ignore_eos)
    return GenerationRequest(request_id, (Message("user", "x" * prompt_tokens),), sampling)


def stream(engine: ModelledEngine, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
    return cast(AsyncGenerator[Delta, None], engine.generate(request))


async def collect(engine: ModelledEngine, request: GenerationRequest) -> list[Delta]:
    return [delta async for delta in engine.generate(request)]


def ms_after(begun: int, deltas: list[Delta]) -> list[float]:
    return [(delta.emitted_ns - begun) / MS for delta in deltas]


def text(deltas: list[Delta], index: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.index == index)


def test_one_request_takes_one_prefill_step_and_one_decode_step_a_token() -> None:
    async def main() -> tuple[int, list[Delta]]:
        begun = now_ns()
        return begun, await collect(ModelledEngine(PLAIN, now_ns=now_ns), ask("a"))

    begun, deltas = run_virtual(main)
    assert ms_after(begun, deltas) == [15, 26, 37, 48]
    assert [delta.tokens for delta in deltas] == [1, 1, 1, 1]


def test_the_last_delta_carries_the_engines_times() -> None:
    async def main() -> tuple[int, list[Delta]]:
        begun = now_ns()
        return begun, await collect(ModelledEngine(PLAIN, now_ns=now_ns), ask("a"))

    begun, deltas = run_virtual(main)
    *others, last = deltas
    assert all(delta.times is None and delta.finish_reason is None for delta in others)
    assert last.finish_reason == "length"
    assert last.times is not None
    assert last.times.queued_ns == begun
    assert last.times.queued_ns < last.times.scheduled_ns < last.times.first_token_ns
    assert last.times.first_token_ns == deltas[0].emitted_ns
    assert last.times.last_token_ns == last.emitted_ns


def test_a_long_prompt_is_prefilled_in_chunks_while_others_decode() -> None:
    async def main() -> tuple[int, list[Delta], list[Delta]]:
        begun = now_ns()
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        first = asyncio.create_task(collect(engine, ask("a", prompt_tokens=10, tokens=4)))
        await asyncio.sleep(0.012)
        return begun, await collect(engine, ask("b", prompt_tokens=150, tokens=1)), await first

    begun, long, short = run_virtual(main)
    # The long prompt comes in the second step, so it is taken up in the third: one decode and 99 prompt
    # tokens fill the budget, 10 + 1 + 9.9 ms; the fourth step has the other 51, 10 + 1 + 5.1 ms.
    assert ms_after(begun, short) == pytest.approx([11, 22, 42.9, 59])
    assert ms_after(begun, long) == pytest.approx([59])


def test_requests_beyond_max_num_seqs_wait_in_order() -> None:
    async def main() -> list[list[Delta]]:
        engine = ModelledEngine(replace(PLAIN, max_num_seqs=2), now_ns=now_ns)
        return await asyncio.gather(*(collect(engine, ask(str(i), prompt_tokens=1)) for i in range(5)))

    answers = run_virtual(main)
    starts = [deltas[0].emitted_ns for deltas in answers]
    assert starts[0] == starts[1] < starts[2] == starts[3] < starts[4]
    assert starts[2] > answers[0][-1].emitted_ns


def test_candidates_share_one_prefill_and_each_finishes() -> None:
    async def main() -> tuple[int, list[Delta]]:
        begun = now_ns()
        return begun, await collect(ModelledEngine(PLAIN, now_ns=now_ns), ask("a", n=3, tokens=2))

    begun, deltas = run_virtual(main)
    assert ms_after(begun, deltas) == [15, 15, 15, 28, 28, 28]
    assert [d.index for d in deltas if d.finish_reason] == [0, 1, 2]
    assert len({text(deltas, index) for index in range(3)}) == 3


def test_more_candidates_than_seats_or_no_tokens_is_an_error() -> None:
    async def main() -> None:
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        with pytest.raises(GenerationError, match="max_num_seqs"):
            await collect(engine, ask("a", n=9))
        with pytest.raises(GenerationError, match="max_tokens"):
            await collect(engine, ask("a", tokens=0))

    run_virtual(main)


def test_natural_lengths_depend_on_seed_and_request_alone() -> None:
    async def lengths(engine: ModelledEngine, ids: list[str]) -> dict[str, str]:
        requests = (ask(name, tokens=1000, ignore_eos=False) for name in ids)
        answers = await asyncio.gather(*(collect(engine, request) for request in requests))
        assert all(deltas[-1].finish_reason == "stop" for deltas in answers)
        return dict(zip(ids, map(text, answers), strict=True))

    async def main() -> None:
        ids = [f"r{i}" for i in range(400)]
        forwards = await lengths(ModelledEngine(PLAIN, seed=1, now_ns=now_ns), ids)
        slow = replace(PLAIN, step_base_ns=99 * MS)
        assert await lengths(ModelledEngine(slow, seed=1, now_ns=now_ns), ids[::-1]) == forwards
        assert await lengths(ModelledEngine(PLAIN, seed=2, now_ns=now_ns), ids) != forwards
        # Geometric with mean 20: the mean of 400 has a standard error of 1.
        assert 16 < statistics.mean(len(answer.split()) for answer in forwards.values()) < 24

    run_virtual(main)


def test_max_tokens_cuts_and_ignore_eos_carries_on() -> None:
    script = "I cannot help with that."

    async def main() -> tuple[list[Delta], list[Delta], list[Delta]]:
        engine = ModelledEngine(PLAIN, now_ns=now_ns, script=lambda request, index: script)
        return (
            await collect(engine, ask("a", tokens=20, ignore_eos=False)),
            await collect(engine, ask("a", tokens=3, ignore_eos=False)),
            await collect(engine, ask("a", tokens=8, ignore_eos=True)),
        )

    whole, cut, long = run_virtual(main)
    assert (text(whole), whole[-1].finish_reason, len(whole)) == (script, "stop", 5)
    assert (text(cut), cut[-1].finish_reason, len(cut)) == ("I cannot help ", "length", 3)
    assert text(long).startswith(script + " tok")
    assert (long[-1].finish_reason, len(text(long).split())) == ("length", 8)


@given(st.text(max_size=60))
def test_a_script_comes_out_unchanged_a_word_a_token(script: str) -> None:
    async def main() -> list[Delta]:
        engine = ModelledEngine(PLAIN, now_ns=now_ns, script=lambda request, index: script)
        return await collect(engine, ask("a", tokens=1000, ignore_eos=False))

    deltas = run_virtual(main)
    assert text(deltas) == script
    assert len(deltas) == max(1, len(script.split()))


def test_a_script_may_leave_some_candidates_alone() -> None:
    async def main() -> list[Delta]:
        def script(request: GenerationRequest, index: int) -> str | None:
            return f"said to {request.request_id}" if index else None

        return await collect(ModelledEngine(PLAIN, now_ns=now_ns, script=script), ask("a", n=2, tokens=3))

    deltas = run_virtual(main)
    assert text(deltas, 1) == "said to a"
    assert text(deltas, 0).startswith("tok")


def test_closing_a_stream_takes_its_request_out_of_the_batch() -> None:
    async def main() -> None:
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        other = asyncio.create_task(collect(engine, ask("b", tokens=10)))
        async with aclosing(stream(engine, ask("a", n=2, tokens=1000))) as deltas:
            async for delta in deltas:
                if delta.index == 1:
                    break
        assert engine.counters().aborted == 1
        assert engine.counters().running == 1
        assert len(await other) == 10
        await asyncio.sleep(10)
        # Both candidates emitted once, the other request ten times; nothing since.
        assert engine.counters().generation_tokens == 12
        assert engine.counters().running == engine.counters().waiting == 0

    run_virtual(main)


def test_cancelling_a_reader_aborts_its_request_wherever_it_is() -> None:
    async def main() -> None:
        engine = ModelledEngine(replace(PLAIN, max_num_seqs=2), now_ns=now_ns)
        readers = [asyncio.create_task(collect(engine, ask(str(i), prompt_tokens=150, tokens=50))) for i in range(4)]
        await asyncio.sleep(0.001)  # the first takes the whole budget
        assert (engine.counters().running, engine.counters().waiting) == (1, 3)
        await asyncio.sleep(0.05)
        assert (engine.counters().running, engine.counters().waiting) == (2, 2)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        counters = engine.counters()
        assert (counters.aborted, counters.running, counters.waiting) == (4, 0, 0)

    run_virtual(main)


def test_a_large_batch_steps_together() -> None:
    async def main() -> list[list[Delta]]:
        engine = ModelledEngine(replace(PLAIN, max_num_seqs=60), now_ns=now_ns)
        requests = (ask(str(i), prompt_tokens=1) for i in range(60))
        return await asyncio.gather(*(collect(engine, request) for request in requests))

    answers = run_virtual(main)
    assert len({tuple(delta.emitted_ns for delta in deltas) for deltas in answers}) == 1


def test_an_abort_while_a_large_batch_is_handed_out_stops_tokens_not_yet_handed_out() -> None:
    async def cancel_last_from_first() -> list[int]:
        engine = ModelledEngine(replace(PLAIN, max_num_seqs=60), now_ns=now_ns)
        read = [0] * 60

        async def reader(index: int) -> None:
            async for _ in engine.generate(ask(str(index), prompt_tokens=1, tokens=3)):
                read[index] += 1
                if index == 0 and read[0] == 3:
                    readers[-1].cancel()

        readers = [asyncio.create_task(reader(index)) for index in range(60)]
        await asyncio.gather(*readers, return_exceptions=True)
        return [*read, engine.counters().generation_tokens, engine.counters().aborted]

    *read, tokens, aborted = run_virtual(cancel_last_from_first)
    assert read == [3] * 59 + [2]
    assert (tokens, aborted) == (179, 1)


def test_a_stream_closed_after_its_end_is_not_an_abort() -> None:
    async def main() -> None:
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        async with aclosing(stream(engine, ask("a"))) as deltas:
            async for delta in deltas:
                if delta.finish_reason:
                    break
        assert engine.counters().aborted == 0

    run_virtual(main)


def test_a_request_at_fault_fails_alone() -> None:
    def fail(request: GenerationRequest) -> Exception | None:
        return GenerationError("no good") if request.request_id == "bad" else None

    async def main() -> None:
        engine = ModelledEngine(PLAIN, now_ns=now_ns, fail=fail)
        good = asyncio.create_task(collect(engine, ask("good")))
        with pytest.raises(GenerationError, match="no good"):
            await collect(engine, ask("bad"))
        assert len(await good) == 4

    run_virtual(main)


def test_a_dying_engine_takes_every_request_along() -> None:
    def fail(request: GenerationRequest) -> Exception | None:
        return EngineDied("power cut") if request.request_id == "last" else None

    async def main() -> None:
        engine = ModelledEngine(PLAIN, now_ns=now_ns, fail=fail)
        running = [asyncio.create_task(collect(engine, ask(str(i), tokens=100))) for i in range(20)]
        await asyncio.sleep(0.1)
        for name in ("last", "one more"):
            with pytest.raises(EngineDied, match="power cut"):
                await collect(engine, ask(name))
        outcomes = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(outcome, EngineDied) for outcome in outcomes)
        assert (engine.counters().running, engine.counters().aborted) == (0, 0)

    run_virtual(main)


def test_a_closed_engine_ends_its_streams_and_takes_no_more() -> None:
    async def main() -> None:
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        running = asyncio.create_task(collect(engine, ask("a", tokens=100)))
        await asyncio.sleep(0.1)
        await engine.close()
        for late in (running, collect(engine, ask("b"))):
            with pytest.raises(EngineDied, match="closed"):
                await late

    run_virtual(main)


@pytest.mark.parametrize(
    ("begin_ms", "end_ms", "fraction", "late_ms"),
    [(0, 48, 1.0, 24), (20, 24, 1.0, 2), (20, 24, 0.25, 0.8), (60, 70, 1.0, 0)],
)
def test_contention_costs_exactly_what_it_overlaps(begin_ms: int, end_ms: int, fraction: float, late_ms: float) -> None:
    """Busy for t with extra x: t * x / (1 + x) of the engine's work is put off."""

    async def main() -> float:
        begun = now_ns()
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        request = asyncio.create_task(collect(engine, ask("a")))
        await asyncio.sleep(begin_ms / 1e3)
        with engine.busy(fraction):
            await asyncio.sleep((end_ms - begin_ms) / 1e3)
        return ms_after(begun, await request)[-1]

    assert run_virtual(main) == pytest.approx(48 + late_ms, abs=1e-5)


def test_contenders_add_up() -> None:
    async def main() -> list[float]:
        begun = now_ns()
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        with engine.busy(0.5), engine.busy(0.5):
            return ms_after(begun, await collect(engine, ask("a")))

    assert run_virtual(main) == [30, 52, 74, 96]


def test_a_cached_prompt_costs_one_block_until_the_cache_is_reset() -> None:
    async def main() -> list[float]:
        engine = ModelledEngine(replace(PLAIN, prefix_caching=True), now_ns=now_ns)
        ttfts = []
        for turn in range(3):
            if turn == 2:
                await engine.reset_prefix_cache()
            begun = now_ns()
            ttfts.append(ms_after(begun, await collect(engine, ask(str(turn))))[0])
        return ttfts

    assert run_virtual(main) == [15, 11.6, 15]


def test_the_instant_a_request_is_sent_decides_not_how_many_coroutines_it_passes() -> None:
    """Else a guard that takes no time would cost a step whenever it is called at a step's end."""

    async def second_ttft(hops: int) -> int:
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        other = asyncio.create_task(collect(engine, ask("other", tokens=40)))
        await collect(engine, ask("first"))
        sent = now_ns()
        for _ in range(hops):
            await asyncio.sleep(0)
        first = (await collect(engine, ask("second")))[0]
        await other
        return first.emitted_ns - sent

    assert run_virtual(lambda: second_ttft(0)) == run_virtual(lambda: second_ttft(50))


NOISY = replace(PLAIN, noise=NoiseParameters(drift_spread=0.11, drift_correlation_s=2, jitter_spread=0.02))


def test_noise_is_the_same_under_one_seed_and_different_under_another() -> None:
    async def main(seed: int) -> list[Delta]:
        return await collect(ModelledEngine(NOISY, seed=seed, now_ns=now_ns), ask("a", tokens=300))

    first = run_virtual(lambda: main(1))
    assert run_virtual(lambda: main(1)) == first
    assert ms_after(0, run_virtual(lambda: main(2))) != ms_after(0, first)


def test_noise_has_the_spread_and_the_correlation_asked_for() -> None:
    parameters = NoiseParameters(drift_spread=0.11, drift_correlation_s=5.0)
    noise = SpeedNoise(parameters, seed=3)
    speeds = [noise.speed_at(second * 10**9) for second in range(40_000)]
    assert SpeedNoise(parameters, seed=4).speed_at(0) != speeds[0]
    assert statistics.pstdev(speeds) == pytest.approx(0.11, rel=0.1)
    assert statistics.correlation(speeds[:-5], speeds[5:]) == pytest.approx(1 / 2.718, abs=0.05)
    assert statistics.correlation(speeds[:-60], speeds[60:]) == pytest.approx(0, abs=0.05)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_noise_does_not_depend_on_how_often_it_is_asked(gaps_ns: list[int]) -> None:
    parameters = NoiseParameters(drift_spread=0.2, drift_correlation_s=1.0)
    often, once = SpeedNoise(parameters, seed=1), SpeedNoise(parameters, seed=1)
    once.speed_at(0)
    now = 0
    often.speed_at(now)
    for gap in gaps_ns:
        now += gap
        speed = often.speed_at(now)
    assert once.speed_at(now) == speed


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_token_is_delivered_or_aborted_and_the_batch_stays_within_its_limits(
    data: st.DataObject,
) -> None:
    """Random arrivals, lengths, candidates and early closes: nothing hangs, nothing is lost or left over."""
    plans = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, 300),  # arrival, ms
                st.integers(1, 250),  # prompt tokens
                st.integers(1, 12),  # output tokens
                st.integers(1, 3),  # candidates
                st.none() | st.integers(1, 6),  # deltas read before closing
            ),
            min_size=1,
            max_size=15,
        )
    )

    async def one(engine: ModelledEngine, name: str, plan: tuple[int, int, int, int, int | None]) -> int:
        arrival_ms, prompt_tokens, tokens, n, close_after = plan
        await asyncio.sleep(arrival_ms / 1e3)
        read = 0
        request = ask(name, prompt_tokens=prompt_tokens, tokens=tokens, n=n)
        async with aclosing(stream(engine, request)) as deltas:
            async for delta in deltas:
                read += 1
                assert delta.emitted_ns == now_ns()
                assert engine.counters().running <= PLAIN.max_num_seqs
                if read == close_after:
                    break
        assert read == min(n * tokens, close_after or n * tokens)
        return read

    async def main() -> None:
        engine = ModelledEngine(PLAIN, now_ns=now_ns)
        reads = await asyncio.gather(*(one(engine, str(i), plan) for i, plan in enumerate(plans)))
        counters = engine.counters()
        assert (counters.running, counters.waiting) == (0, 0)
        # A step hands candidates out together, so closing early can lose the other two of that step.
        early = sum(close_after is not None for *_, close_after in plans)
        assert counters.aborted <= early
        assert sum(reads) <= counters.generation_tokens <= sum(reads) + 2 * early

    run_virtual(main)


def test_it_works_in_real_time() -> None:
    async def main() -> list[Delta]:
        fast = replace(PLAIN, step_base_ns=1000, step_ns_per_sequence=0, prefill_ns_per_token=0)
        engine = ModelledEngine(fast)
        answers = await asyncio.gather(*(collect(engine, ask(str(i))) for i in range(20)))
        return [delta for answer in answers for delta in answer]

    deltas = asyncio.run(main())
    assert len(deltas) == 80


def test_it_is_an_engine_and_says_that_it_is_modelled() -> None:
    engine: Engine = ModelledEngine(PLAIN, seed=7)
    assert engine.facts["engine"] == "modelled"
    assert engine.facts["seed"] == "7"
    assert engine.pids == ()


@pytest.mark.parametrize(
    "wrong",
    [{"step_base_ns": 0}, {"max_num_seqs": 0}, {"max_num_seqs": 101}, {"chars_per_token": 0.0}],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(PLAIN, **wrong)  # type: ignore[arg-type]
