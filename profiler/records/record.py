"""What is kept of one request and of one trial: raw timestamps and counters, nothing derived."""

from dataclasses import dataclass, field
from enum import StrEnum

from guards.trace import EngineCall, GuardVerdict, StageSpan


class Outcome(StrEnum):
    """What became of a request, as its user saw it."""

    PASSED = "passed"
    BLOCKED = "blocked"
    REDACTED = "redacted"
    RERANKED = "reranked"
    ERROR = "error"


UNFINISHED = ("blocked", "cut", "refused", "abort", "")
"""Finish reasons of a request that did not get the model's whole answer."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request. Times are monotonic ns; 0 where the thing did not happen.

    `chunk_ns` and `chunk_tokens` are the deliveries to the user; `engine_calls` what the engine did for
    it. `prompt` and `answer` are empty unless the scenario keeps text. `chosen_candidate` is a reranker's,
    `exposed_tokens` those of a cut answer that had been delivered before the cut and were unsafe. `answer_refusal`
    and `answer_unsafe` are probabilities that the delivered answer refuses, is unsafe; None where nobody judged it.
    """

    index: int
    prompt_id: str
    label: str
    category: str
    scheduled_ns: int
    sent_ns: int
    first_ns: int
    last_ns: int
    output_tokens: int
    finish_reason: str
    outcome: Outcome
    error: str
    chunk_ns: tuple[int, ...]
    chunk_tokens: tuple[int, ...]
    engine_calls: tuple[EngineCall, ...] = ()
    spans: tuple[StageSpan, ...] = ()
    verdicts: tuple[GuardVerdict, ...] = ()
    prompt: str = ""
    answer: str = ""
    chosen_candidate: int = 0
    exposed_tokens: int = 0
    answer_refusal: float | None = None
    answer_unsafe: float | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """What the meters read over one trial; None where the machine lacks the meter."""

    peak_memory_mib: float | None = None
    cpu_s: float | None = None
    energy_j: float | None = None
    throttled: bool | None = None


@dataclass(frozen=True, slots=True)
class TrialInfo:
    """One trial: one arm, once, over one workload. `replicate` tells a block's two baselines apart.

    `rate_hz` is the rate of an open loop that was not the scenario's own; `stopped` why the trial was ended
    before its last request, empty where it was not; `preemptions` how often the engine threw a request's KV cache away.
    """

    index: int
    block: int
    arm: str
    replicate: int
    started_ns: int
    ended_ns: int
    readings: Readings = field(default_factory=Readings)
    aborted_requests: int = 0
    engine_tokens: int = 0
    rate_hz: float | None = None
    stopped: str = ""
    preemptions: int = 0
