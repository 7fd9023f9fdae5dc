"""Metrics of a trial from its stored columns. vLLM bench's words and definitions.

Latencies count from the scheduled arrival (response time). TTFT: to the first delivered text; E2EL: to the
last; TPOT: (E2EL - TTFT) / (output tokens - 1), for answers of two tokens and more whose text came over some
time: an answer that is released whole has no time per token.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from profiler.analysis import guard_checks
from profiler.analysis.columns import Bools, Ints, ints
from profiler.analysis.guard_checks import GuardChecks
from profiler.analysis.resources import TrialResources, resources_of
from profiler.records.record import Outcome
from profiler.records.store import StoredTrial

Array = npt.NDArray[np.float64]
LATENCIES = ("ttft_ms", "tpot_ms", "e2el_ms")
COLUMNS = (
    "scheduled_ns",
    "sent_ns",
    "first_ns",
    "last_ns",
    "output_tokens",
    "outcome",
    "label",
    "chunk_tokens",
    *guard_checks.COLUMNS,
)
"""The columns that `trial_metrics` reads."""


@dataclass(frozen=True)
class TrialMetrics:
    """One trial's figures. Latency arrays are (answered requests,) in ms."""

    arm: str
    block: int
    replicate: int
    latency_ms: dict[str, Array]
    duration_s: float
    output_tokens: int
    requests: int
    outcomes: Counter[str]
    guard_errors: int
    peak_memory_mib: float | None
    cpu_s: float | None
    energy_j: float | None
    harmful_blocked: int = 0
    resources: TrialResources | None = None
    guard_checks: GuardChecks = field(default_factory=dict)
    preemptions: int = 0


def trial_metrics(trial: StoredTrial) -> TrialMetrics:
    """Derive a trial's metrics. A failed request counts in the outcomes and in no latency."""
    info, outcomes = trial.info, _counts(trial.table["outcome"])
    checks = guard_checks.guard_checks(trial.table)
    return TrialMetrics(
        arm=info.arm,
        block=info.block,
        replicate=info.replicate,
        latency_ms=_latencies_ms(trial.table),
        duration_s=(info.ended_ns - info.started_ns) / 1e9,
        output_tokens=int(ints(trial.table, "output_tokens").sum()),
        requests=trial.table.num_rows,
        outcomes=Counter({o.value: outcomes.get(o.value, 0) for o in Outcome}),
        guard_errors=guard_checks.errors(checks),
        peak_memory_mib=info.readings.peak_memory_mib,
        cpu_s=info.readings.cpu_s,
        energy_j=info.readings.energy_j,
        harmful_blocked=_harmful_blocked(trial.table),
        resources=None if trial.samples is None else resources_of(trial.samples),
        guard_checks=checks,
        preemptions=info.preemptions,
    )


def latency_by_request(table: pa.Table) -> dict[str, Array]:
    """Each request's latencies in ms, shape (requests,), in the table's order; NaN where a request has none."""
    scheduled, first, last = (ints(table, name) for name in ("scheduled_ns", "first_ns", "last_ns"))
    tokens = ints(table, "output_tokens")
    answered = (first > 0) & ~failed(table)
    # An output filter delivers several tokens at once: the time after the first piece belongs to the others.
    after = tokens - first_tokens(table)
    several = answered & (after > 0) & (last > first)
    return {
        "ttft_ms": np.where(answered, (first - scheduled) / 1e6, np.nan),
        "tpot_ms": np.where(several, (last - first) / 1e6 / np.maximum(after, 1), np.nan),
        "e2el_ms": np.where(answered, (last - scheduled) / 1e6, np.nan),
    }


def _latencies_ms(table: pa.Table) -> dict[str, Array]:
    return {name: values[~np.isnan(values)] for name, values in latency_by_request(table).items()}


def failed(table: pa.Table) -> Bools:
    """Which requests failed, or were blocked for want of a verdict."""
    return np.asarray(pc.fill_null(_is(table["outcome"], Outcome.ERROR.value), False), dtype=np.bool_)


def first_tokens(table: pa.Table) -> Ints:
    """Tokens of each request's first piece; 1 where it had none."""
    pieces = table["chunk_tokens"].combine_chunks()
    pieces = pa.concat_arrays(pieces.chunks) if isinstance(pieces, pa.ChunkedArray) else pieces
    begin = pieces.offsets.to_numpy()[:-1]
    some = np.diff(pieces.offsets.to_numpy()) > 0
    found = np.ones(len(begin), dtype=np.int64)
    found[some] = pieces.values.to_numpy(zero_copy_only=False)[begin[some]]
    return found


def _harmful_blocked(table: pa.Table) -> int:
    blocked, harmful = _is(table["outcome"], Outcome.BLOCKED.value), _is(table["label"], "harmful")
    return int(pc.sum(pc.and_(blocked, harmful)).as_py() or 0)


def _is(column: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    # With its type: a plain str has pyarrow look for packages each time.
    return pc.equal(column.cast(pa.string()), pa.scalar(value, pa.string()))


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(found["values"]): int(found["counts"]) for found in pc.value_counts(column).to_pylist()}
