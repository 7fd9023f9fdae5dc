"""A trial: one arm, run once over one workload."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from guards.generation import (
    Delta,
    EngineDied,
    GenerationError,
    GenerationRequest,
    Generator,
    Message,
    Sampling,
)
from guards.trace import Trace
from guards.verdict import Action, Status
from profiler.load import Offsets, closed_loop, open_loop, poisson, quiet_gc
from profiler.prompts import Prompt
from profiler.records.record import Outcome, RequestRecord
from profiler.scenario import ClosedLoad, PoissonLoad, Scenario


class Watcher(Protocol):
    """Is told of every finished request, for live progress."""

    def __call__(self, record: RequestRecord) -> None:
        """A request has ended."""
        ...


@dataclass(frozen=True)
class Workload:
    """The requests of one trial, the same in every arm of a block."""

    scenario: Scenario
    prompts: tuple[Prompt, ...]
    block: int


@dataclass(frozen=True)
class Outcomes:
    """The records of one trial, and when it began and ended (monotonic ns)."""

    records: tuple[RequestRecord, ...]
    started_ns: int
    ended_ns: int


class _Client:
    """Sends the requests of a trial and notes what comes back."""

    def __init__(self, stack: Generator, work: Workload, tag: str, now_ns: Callable[[], int], watch: Watcher) -> None:
        self._stack, self._work, self._tag, self._now_ns, self._watch = stack, work, tag, now_ns, watch
        self.records: list[RequestRecord] = []

    async def send(self, index: int, scheduled_ns: int) -> None:
        """Send one request and read its answer to the end.

        Raises:
            EngineDied: after the request has been recorded as failed.
        """
        request = self._request(index)
        delivery = _Delivery(self._now_ns())
        failure: GenerationError | None = None
        try:
            async with aclosing(self._stack.generate(request)) as stream:  # type: ignore[type-var]
                await delivery.read(stream, self._now_ns)
        except GenerationError as error:
            failure = error
        record = self._record(index, scheduled_ns, delivery, request.trace, failure)
        self.records.append(record)
        self._watch(record)
        if isinstance(failure, EngineDied):
            raise failure

    def _request(self, index: int) -> GenerationRequest:
        scenario = self._work.scenario
        sampling = Sampling(
            max_tokens=scenario.output.max_tokens,
            temperature=scenario.sampling.temperature,
            top_p=scenario.sampling.top_p,
            # The same in every arm of a block; candidates of one request take the seeds after it.
            seed=(scenario.seed * 1_000_003 + self._work.block * 10_007 + index * 101) % 2**31,
            ignore_eos=scenario.output.length == "fixed",
        )
        message = Message("user", self._work.prompts[index].prompt)
        return GenerationRequest(f"{self._tag}-{index}", (message,), sampling, Trace(self._now_ns))

    def _record(
        self, index: int, scheduled_ns: int, delivery: "_Delivery", trace: Trace, failure: GenerationError | None
    ) -> RequestRecord:
        prompt, keep = self._work.prompts[index], self._work.scenario.keep_text
        return RequestRecord(
            index=index,
            prompt_id=prompt.id,
            label=prompt.label,
            category=prompt.category,
            scheduled_ns=scheduled_ns,
            sent_ns=delivery.sent_ns,
            first_ns=delivery.chunk_ns[0] if delivery.chunk_ns else 0,
            last_ns=delivery.chunk_ns[-1] if delivery.chunk_ns else 0,
            output_tokens=sum(delivery.chunk_tokens),
            finish_reason=delivery.finish_reason,
            outcome=Outcome.ERROR if failure else outcome_of(delivery.finish_reason, trace),
            error="" if failure is None else str(failure)[:300],
            chunk_ns=tuple(delivery.chunk_ns),
            chunk_tokens=tuple(delivery.chunk_tokens),
            engine_calls=tuple(trace.engine_calls),
            spans=tuple(trace.spans),
            verdicts=tuple(trace.verdicts),
            prompt=prompt.prompt if keep else "",
            answer="".join(delivery.text) if keep else "",
        )


class _Delivery:
    """What reached the user, and when."""

    def __init__(self, sent_ns: int) -> None:
        self.sent_ns = sent_ns
        self.chunk_ns: list[int] = []
        self.chunk_tokens: list[int] = []
        self.text: list[str] = []
        self.finish_reason = ""

    async def read(self, stream: AsyncIterator[Delta], now_ns: Callable[[], int]) -> None:
        """Read to the end."""
        async for delta in stream:
            self.chunk_ns.append(now_ns())
            self.chunk_tokens.append(delta.tokens)
            self.text.append(delta.text)
            self.finish_reason = delta.finish_reason or self.finish_reason


def outcome_of(finish_reason: str, trace: Trace) -> Outcome:
    """What the user got. A block for want of a verdict (`on_error: closed`) is an error, not a judgement."""
    if finish_reason in ("blocked", "cut"):
        judged = any(v.verdict.status is Status.OK and v.verdict.action is Action.BLOCK for v in trace.verdicts)
        return Outcome.BLOCKED if judged else Outcome.ERROR
    if any(v.verdict.action is Action.REDACT for v in trace.verdicts):
        return Outcome.REDACTED
    return Outcome.RERANKED if trace.chosen_candidate else Outcome.PASSED


async def run_trial(
    stack: Generator,
    work: Workload,
    tag: str,
    *,
    watch: Watcher,
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> Outcomes:
    """Run every request of `work` through `stack` under the scenario's load.

    Raises:
        EngineDied: the engine is gone; the trial is not complete.
    """
    client = _Client(stack, work, tag, now_ns, watch)
    load, n = work.scenario.load, len(work.prompts)
    with quiet_gc():
        started_ns = now_ns()
        try:
            if isinstance(load, ClosedLoad):
                await closed_loop(n, load.users, client.send, now_ns=now_ns)
            else:
                await open_loop(_offsets(load, work, n), client.send, now_ns=now_ns)
        except* EngineDied as died:
            raise died.exceptions[0] from None
        ended_ns = now_ns()
    return Outcomes(tuple(sorted(client.records, key=lambda r: r.index)), started_ns, ended_ns)


def _offsets(load: PoissonLoad, work: Workload, n: int) -> Offsets:
    # One draw a block: every arm of it sees the same arrivals.
    return poisson(load.rate_hz, n, seed=work.scenario.seed * 100_003 + work.block)
