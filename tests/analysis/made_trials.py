"""Stored trials with figures of the test's choosing."""

from collections.abc import Sequence

from profiler.records.record import Outcome, Readings, RequestRecord, TrialInfo
from profiler.records.store import StoredTrial, as_table

MS = 1_000_000


def request(
    index: int,
    *,
    lag_ms: float = 0.0,
    service_ms: float = 500.0,
    tokens: int = 20,
    finish: str = "length",
    outcome: Outcome = Outcome.PASSED,
) -> RequestRecord:
    """One request, due at 1 s + `index` times 100 ms."""
    due_ns = 10**9 + index * 100 * MS
    sent_ns = due_ns + round(lag_ms * MS)
    last_ns = sent_ns + round(service_ms * MS)
    answered = outcome is not Outcome.ERROR
    return RequestRecord(
        index=index,
        prompt_id=f"p{index}",
        label="benign",
        category="c",
        scheduled_ns=due_ns,
        sent_ns=sent_ns,
        first_ns=sent_ns + 50 * MS if answered else 0,
        last_ns=last_ns if answered else 0,
        output_tokens=tokens if answered else 0,
        finish_reason=finish if answered else "",
        outcome=outcome,
        error="" if answered else "engine said no",
        chunk_ns=(last_ns,) if answered else (),
        chunk_tokens=(tokens,) if answered else (),
    )


def trial(
    place: int,
    block: int,
    arm: str,
    records: Sequence[RequestRecord],
    *,
    replicate: int = 0,
    throttled: bool | None = None,
) -> StoredTrial:
    """One trial, the `place`-th in time."""
    readings = Readings(throttled=throttled)
    info = TrialInfo(place, block, arm, replicate, (1 + place) * 10**9, (2 + place) * 10**9, readings)
    return StoredTrial(info, as_table(info, records))
