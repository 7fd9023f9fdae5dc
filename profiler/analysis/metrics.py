"""Metrics of a trial from its stored columns. vLLM bench's words and definitions.

Latencies count from the scheduled arrival (response time). TTFT: to the first delivered text; E2EL: to the
last; TPOT: (E2EL - TTFT) / (output tokens - 1), for answers of two tokens and more that came in more than
one piece: an answer that is released whole has no time per token.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from profiler.records.record import Outcome
from profiler.records.store import StoredTrial

Array = npt.NDArray[np.float64]
LATENCIES = ("ttft_ms", "tpot_ms", "e2el_ms")


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
    dispatch_lag_ms: Array
    peak_memory_mib: float | None
    cpu_s: float | None
    energy_j: float | None

    @property
    def output_tokens_per_s(self) -> float:
        """Tokens delivered to users per second of the trial."""
        return self.output_tokens / self.duration_s


def trial_metrics(trial: StoredTrial) -> TrialMetrics:
    """Derive a trial's metrics. A failed request counts in the outcomes and in no latency."""
    table, info = trial.table, trial.info
    column = {n: table[n].to_numpy() for n in ("scheduled_ns", "sent_ns", "first_ns", "last_ns", "output_tokens")}
    outcomes = Counter(table["outcome"].to_pylist())
    answered = column["first_ns"] > 0
    tokens = column["output_tokens"]
    ttft = (column["first_ns"] - column["scheduled_ns"]) / 1e6
    e2el = (column["last_ns"] - column["scheduled_ns"]) / 1e6
    pieces = pc.list_value_length(table["chunk_ns"]).to_numpy()
    several = answered & (tokens > 1) & (pieces > 1)
    latency = {
        "ttft_ms": ttft[answered],
        "tpot_ms": ((e2el - ttft)[several] / (tokens[several] - 1)),
        "e2el_ms": e2el[answered],
    }
    return TrialMetrics(
        arm=info.arm,
        block=info.block,
        replicate=info.replicate,
        latency_ms=latency,
        duration_s=(info.ended_ns - info.started_ns) / 1e9,
        output_tokens=int(tokens.sum()),
        requests=table.num_rows,
        outcomes=Counter({o.value: outcomes.get(o.value, 0) for o in Outcome}),
        guard_errors=_guard_errors(trial),
        dispatch_lag_ms=(column["sent_ns"] - column["scheduled_ns"]) / 1e6,
        peak_memory_mib=info.readings.peak_memory_mib,
        cpu_s=info.readings.cpu_s,
        energy_j=info.readings.energy_j,
    )


def _guard_errors(trial: StoredTrial) -> int:
    verdicts = pc.list_flatten(trial.table["verdicts"].combine_chunks())
    if len(verdicts) == 0:
        return 0
    status = pc.struct_field(pc.struct_field(verdicts, "verdict"), "status")
    failed = pc.is_in(status, value_set=pa.array(["error", "timeout"]))
    return int(pc.sum(failed).as_py() or 0)
