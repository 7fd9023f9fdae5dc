"""A trial: one arm, run once over one workload."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
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
from guards.subject import Subject
from guards.told import message, writable
from guards.trace import Trace
from guards.verdict import Action, Status
from profiler.load import TraceRow, closed_loop, open_loop, quiet_gc, schedule
from profiler.prompt_sets import Prompt
from profiler.prompts import PromptSets, draw_workload, trace_rows
from profiler.records.record import UNFINISHED, Outcome, RequestRecord
from profiler.scenario import ClosedLoad, Load, PoissonLoad, Scenario, TraceLoad


class Watcher(Protocol):
    """Is told of every finished request, for live progress."""

    def __call__(self, record: RequestRecord) -> None:
        """A request has ended."""
        ...


class Stop(Protocol):
    """Is asked after every finished request whether the trial should end early."""

    def __call__(self, done: Sequence[RequestRecord], in_flight: int) -> str:
        """Why to stop now, or nothing. `done` is in the order of finishing."""
        ...


@dataclass(frozen=True)
class Workload:
    """The requests of one trial, the same in every arm of a block.

    `rows` are a trace's, one a prompt: when each is due and how many tokens it writes. `load` takes the
    place of the scenario's.
    """

    scenario: Scenario
    prompts: tuple[Prompt, ...]
    block: int
    rows: tuple[TraceRow, ...] = ()
    load: Load | None = None

    @classmethod
    def draw(cls, scenario: Scenario, sets: PromptSets, block: int) -> "Workload":
        """The requests of a block: prompts and, from a trace, lengths and arrivals."""
        return cls(scenario, draw_workload(scenario, sets, block), block, trace_rows(scenario, sets, block))

    def at_rate(self, rate_hz: float) -> "Workload":
        """The same requests, arriving at random `rate_hz` times a second."""
        return replace(self, load=PoissonLoad(kind="poisson", rate_hz=rate_hz))

    @property
    def effective_load(self) -> Load:
        """What the trial runs under. Warm-up prompts have no rows of a trace: a few users send them."""
        load = self.load or self.scenario.load
        return _WARM_UP_LOAD if isinstance(load, TraceLoad) and not self.rows else load


_WARM_UP_LOAD = ClosedLoad(kind="closed")


@dataclass(frozen=True)
class Outcomes:
    """The records of one trial, and when it began and ended (monotonic ns).

    `stopped` is why it ended before its last request, empty where it did not; the requests then in flight
    were aborted and have no record. `answers` are those that were delivered in full, in the order of the records,
    None in the place of any other; empty unless they were asked for.
    """

    records: tuple[RequestRecord, ...]
    started_ns: int
    ended_ns: int
    stopped: str = ""
    answers: tuple[Subject | None, ...] = ()


class _Stopped(Exception):
    """Ends a trial early; the message is why."""


class _Client:
    """Sends the requests of a trial and notes what comes back."""

    def __init__(
        self,
        stack: Generator,
        work: Workload,
        tag: str,
        now_ns: Callable[[], int],
        watch: Watcher,
        stop: Stop,
        keep_answers: bool,
    ) -> None:
        self._stack, self._work, self._tag, self._now_ns = stack, work, tag, now_ns
        self._watch, self._stop, self._keep_answers = watch, stop, keep_answers
        self._sent = 0
        self.records: list[RequestRecord] = []
        self.answers: dict[int, Subject] = {}  # of the requests that got their whole answer, by index

    async def send(self, index: int, scheduled_ns: int) -> None:
        """Send one request and read its answer to the end.

        Raises:
            EngineDied: after the request has been recorded as failed.
            _Stopped: this one's end was a reason to stop.
        """
        self._sent += 1
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
        if self._keep_answers and failure is None and delivery.finish_reason not in UNFINISHED:
            self.answers[index] = request.answer("".join(delivery.text))
        self._watch(record)
        if isinstance(failure, EngineDied):
            raise failure
        if why := self._stop(self.records, self._sent - len(self.records)):
            raise _Stopped(why)

    def _request(self, index: int) -> GenerationRequest:
        scenario, rows = self._work.scenario, self._work.rows
        sampling = Sampling(
            max_tokens=rows[index].output_tokens if rows else scenario.output.max_tokens,
            temperature=scenario.sampling.temperature,
            top_p=scenario.sampling.top_p,
            # The same in every arm of a block; candidates of one request take the seeds after it.
            seed=(scenario.seed * 1_000_003 + self._work.block * 10_007 + index * 101) % 2**31,
            ignore_eos=bool(rows) or scenario.output.length == "fixed",
        )
        messages = self._work.prompts[index].messages
        if scenario.system is not None and messages[0].role != "system":
            messages = (Message("system", scenario.system), *messages)
        return GenerationRequest(f"{self._tag}-{index}", messages, sampling, Trace(self._now_ns))

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
            error="" if failure is None else message(failure),
            chunk_ns=tuple(delivery.chunk_ns),
            chunk_tokens=tuple(delivery.chunk_tokens),
            engine_calls=tuple(trace.engine_calls),
            spans=tuple(trace.spans),
            verdicts=tuple(trace.verdicts),
            prompt=writable(prompt.prompt) if keep else "",
            answer=writable("".join(delivery.text)) if keep else "",
            chosen_candidate=trace.chosen_candidate,
            exposed_tokens=trace.exposed_tokens,
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
    stop: Stop = lambda done, in_flight: "",
    keep_answers: bool = False,
) -> Outcomes:
    """Run every request of `work` through `stack` under its load, or until `stop` gives a reason.

    The garbage of before is collected before the trial's clock starts.

    Raises:
        EngineDied: the engine is gone; the trial is not complete.
    """
    client = _Client(stack, work, tag, now_ns, watch, stop, keep_answers)
    drive, stopped = _driver(work, client, now_ns), ""
    with quiet_gc():
        started_ns = now_ns()
        try:
            await drive()
        except* EngineDied as died:
            raise died.exceptions[0] from None
        except* _Stopped as early:
            stopped = str(early.exceptions[0])
        ended_ns = now_ns()
    records = tuple(sorted(client.records, key=lambda r: r.index))
    answers = tuple(client.answers.get(record.index) for record in records) if keep_answers else ()
    return Outcomes(records, started_ns, ended_ns, stopped, answers)


def _driver(work: Workload, client: _Client, now_ns: Callable[[], int]) -> Callable[[], Awaitable[int]]:
    """What sends the requests; arrivals are drawn now, before the clock starts."""
    load, n = work.effective_load, len(work.prompts)
    if isinstance(load, ClosedLoad):
        return partial(closed_loop, n, load.users, client.send, now_ns=now_ns)
    offsets_ns = schedule(load, n, seed=work.scenario.seed, block=work.block, rows=work.rows)
    return partial(open_loop, offsets_ns, client.send, now_ns=now_ns)
