"""The real worker process: hostile text does not stop it, and when it is killed its checks fail and nothing else."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from guards.check import Policy, check
from guards.generation import GenerationRequest, Message, Sampling
from guards.input_classifier import REFUSAL, InputClassifier
from guards.scorers.embedding import EmbeddingScorer
from guards.scorers.worker import EmbeddingWorker
from guards.stack import stack
from guards.subject import Subject
from guards.verdict import Status
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.records.record import Outcome
from profiler.trial import outcome_of

FAST = ModelParameters(prefill_ns_per_token=1_000, step_base_ns=100_000, step_ns_per_sequence=1_000)


@dataclass(frozen=True)
class Real:
    runner: asyncio.Runner
    worker: EmbeddingWorker

    @property
    def scorer(self) -> EmbeddingScorer:
        return EmbeddingScorer(self.worker)


@pytest.fixture(scope="module")
def real() -> Iterator[Real]:
    with asyncio.Runner() as runner:
        worker = runner.run(EmbeddingWorker.start())
        yield Real(runner, worker)
        runner.run(worker.close())


@pytest.mark.parametrize("text", ["", "\ud800 half a pair", "\x00", "a" * 100_000, "\u202e\U000e0001" * 500])
def test_hostile_text_is_judged_and_the_worker_lives(real: Real, text: str) -> None:
    async def work() -> list[Status]:
        async with asyncio.timeout(60):
            found = await asyncio.gather(*(check(real.scorer, Subject(t), Policy()) for t in (text, "hello")))
        return [one.verdict.status for one in found]

    assert real.runner.run(work()) == [Status.OK, Status.OK]


def test_when_the_worker_is_killed_every_request_ends_and_the_generator_goes_on(real: Real) -> None:
    async def answer(engine: ModelledEngine, number: int, on_error: Any) -> tuple[str, Outcome, Status]:
        guard = InputClassifier(real.scorer, Policy(on_error=on_error))
        request = GenerationRequest(f"{number}", (Message("user", f"hello {number}"),), Sampling(max_tokens=3))
        deltas = [delta async for delta in stack(engine, [guard]).generate(request)]
        outcome = outcome_of(deltas[-1].finish_reason or "", request.trace)
        return "".join(d.text for d in deltas), outcome, request.trace.verdicts[0].verdict.status

    async def work() -> list[tuple[str, Outcome, Status]]:
        engine = ModelledEngine(FAST, now_ns=time.monotonic_ns)
        async with asyncio.timeout(60):
            await answer(engine, 0, "closed")
            os.kill(real.worker.pid, signal.SIGKILL)
            found = await asyncio.gather(*(answer(engine, i, ["open", "closed"][i % 2]) for i in range(1, 41)))
        assert engine.counters().running == engine.counters().waiting == 0
        return found

    for number, (text, outcome, status) in enumerate(real.runner.run(work()), 1):
        if status is Status.OK:
            continue  # it was answered before the signal arrived
        assert status is Status.ERROR
        assert outcome is (Outcome.ERROR if number % 2 else Outcome.PASSED)
        assert (text == REFUSAL) == bool(number % 2)
    after = real.runner.run(check(real.scorer, Subject("hello"), Policy()))
    assert (after.verdict.status, after.verdict.detail) == (
        Status.ERROR,
        "WorkerDied: the guard's worker process is gone",
    )
