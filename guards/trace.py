"""What one request's way through a stack leaves behind: stage spans, engine calls, verdicts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from guards.verdict import Verdict


class Stage(StrEnum):
    """Where a guard spends time on a request's own critical path."""

    QUEUE = "queue"  # waiting for a batch or a worker
    PREFILL = "prefill"  # the scorer reads its input (all the work of an encoder)
    DECODE = "decode"  # a generative scorer writes its verdict
    HOLD_BACK = "hold_back"  # text that exists and is not yet released
    CANDIDATES = "candidates"  # the chosen candidate waits for the slowest
    SCORING = "scoring"  # candidates are judged and one is picked
    WORK = "work"  # work beside the requests: nobody waits for it, whoever shares the device pays


@dataclass(frozen=True, slots=True)
class StageSpan:
    """One stretch of time, monotonic ns. `critical`: the user waited for it."""

    guard: str
    stage: Stage
    start_ns: int
    end_ns: int
    critical: bool


@dataclass(frozen=True, slots=True)
class EngineTimes:
    """The engine's own timestamps of one request, monotonic ns; 0 where it gave none."""

    queued_ns: int
    scheduled_ns: int
    first_token_ns: int
    last_token_ns: int


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One call of the engine as seen at its boundary.

    `output_tokens` counts all candidates, as seen by the caller up to the end or the abort.
    `first_ns` and `last_ns` are 0 when no token came. `candidates` were asked for; `prompt_tokens` is 0
    where the engine did not say.
    """

    sent_ns: int
    first_ns: int
    last_ns: int
    ended_ns: int
    output_tokens: int
    finish_reason: str
    aborted: bool
    times: EngineTimes | None
    chunk_ns: tuple[int, ...]
    chunk_tokens: tuple[int, ...]
    candidates: int = 1
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """A verdict, who gave it and when (monotonic ns)."""

    guard: str
    verdict: Verdict
    at_ns: int


@dataclass(slots=True)
class Trace:
    """The recorder that travels with a request. Append-only; one event loop writes it.

    `exposed_tokens`: of an answer that was cut, the tokens that had reached the user by then and belong to the chunk
    (or span) that was judged unsafe, or came after it. 0 where a failed check has cut it: nobody knows.
    """

    now_ns: Callable[[], int] = time.monotonic_ns
    spans: list[StageSpan] = field(default_factory=list)
    engine_calls: list[EngineCall] = field(default_factory=list)
    verdicts: list[GuardVerdict] = field(default_factory=list)
    chosen_candidate: int = 0
    exposed_tokens: int = 0

    def span(self, guard: str, stage: Stage, start_ns: int, end_ns: int, *, critical: bool) -> None:
        """Record a stretch of time."""
        self.spans.append(StageSpan(guard, stage, start_ns, end_ns, critical))

    def judged(self, guard: str, verdict: Verdict) -> None:
        """Record a verdict as of now.

        Raises:
            TypeError: it is none: the guard that says so fails, not whoever reads the record.
        """
        if not isinstance(verdict, Verdict):
            raise TypeError(f"a verdict is a Verdict, not {type(verdict).__name__}")
        self.verdicts.append(GuardVerdict(guard, verdict, self.now_ns()))
