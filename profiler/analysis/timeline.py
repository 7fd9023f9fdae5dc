"""Each request's own time line, cut where the engine was waited for: what is left is direct cost.

    scheduled  sent        engine called              token that was needed      delivered
        |--lag--|---direct---|---------- engine ------------|--------direct--------|

For TTFT the token that was needed is the first; for E2EL the last, or the chosen candidate's last where a
reranker waited for the others; a call that brought only candidates that were passed over is not the engine's
time but the reranker's. A user of a request that was blocked while the engine had to be aborted did not wait for the
engine at all, nor did one wait for a call that was aborted and made again (a prompt that a guard rewrote while
generation ran). Lag, direct and engine add up to the latency exactly.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from guards.trace import Stage
from profiler.analysis.candidates import passed_over
from profiler.analysis.columns import Bools, Calls, Ints, Spans, ints
from profiler.analysis.metrics import failed
from profiler.records.store import StoredTrial

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """Per request, shape (n,), monotonic ns. `answered` says which have a latency; the rest are 0.

    The engine was waited for in [engine_from_ns, engine_to_ns]; direct are [sent_ns, engine_from_ns] and
    [engine_to_ns, to_ns], `to_ns` being when the first or the last piece was delivered.
    """

    answered: Bools
    scheduled_ns: Ints
    sent_ns: Ints
    engine_from_ns: Ints
    engine_to_ns: Ints
    to_ns: Ints

    @property
    def latency_ms(self) -> Floats:
        """From the scheduled arrival to the delivery."""
        return (self.to_ns - self.scheduled_ns) / 1e6

    @property
    def direct_ms(self) -> Floats:
        """What the request waited for beside the engine."""
        return (self.engine_from_ns - self.sent_ns + self.to_ns - self.engine_to_ns) / 1e6


def timeline(trial: StoredTrial, calls: Calls, spans: Spans, metric: str) -> Timeline:
    """The time lines for `metric`, "ttft_ms" or "e2el_ms"."""
    table = trial.table
    sent, to = ints(table, "sent_ns"), ints(table, "first_ns" if metric == "ttft_ms" else "last_ns")
    answered = (to > 0) & ~failed(table)
    begun, needed = _engine(calls, spans, len(sent), metric)
    if metric == "e2el_ms":
        needed = _until_the_cut(table, needed, spans)
    # A request without an engine call, or whose call was given up for a verdict, waited for its guards only.
    waited = answered & (needed > 0) & ~_blocked_early(trial, calls)
    start = np.where(waited, np.clip(begun, sent, to), to)
    return Timeline(
        answered, ints(table, "scheduled_ns"), sent, start, np.where(waited, np.clip(needed, start, to), to), to
    )


def _engine(calls: Calls, spans: Spans, n: int, metric: str) -> tuple[Ints, Ints]:
    """When each request called the engine, and when the token came that it needed; 0 where none did."""
    far = np.iinfo(np.int64).max
    begun, kept = np.full(n, far), ~passed_over(calls, spans) & ~_made_again(calls, n)
    np.minimum.at(begun, calls.request[kept], calls.sent_ns[kept])
    if metric == "ttft_ms":
        needed = np.full(n, far)
        some = kept & (calls.first_ns > 0)
        np.minimum.at(needed, calls.request[some], calls.first_ns[some])
        needed[needed == far] = 0
    else:
        needed = np.zeros(n, dtype=np.int64)
        np.maximum.at(needed, calls.request[kept], calls.last_ns[kept])
        chosen = spans.of_stage(Stage.CANDIDATES) & (spans.start_ns >= begun[spans.request])
        needed[spans.request[chosen]] = spans.start_ns[chosen]
    begun[begun == far] = 0
    return begun, needed


def _made_again(calls: Calls, n: int) -> Bools:
    """Which calls had been aborted by when their request called the engine again."""
    last = np.zeros(n, dtype=np.int64)
    np.maximum.at(last, calls.request, calls.sent_ns)
    return np.asarray(calls.aborted & (calls.ended_ns <= last[calls.request]))


def _until_the_cut(table: pa.Table, needed: Ints, spans: Spans) -> Ints:
    """An answer that was cut needed nothing of the engine from when the check began that cut it: the last to end."""
    begun = np.zeros(len(needed), dtype=np.int64)
    checks = spans.of_stage(Stage.QUEUE, Stage.PREFILL, Stage.DECODE)
    np.maximum.at(begun, spans.request[checks], spans.end_ns[checks])
    # A check's waiting, reading and writing are spans of their own, each right before the next.
    for stage in (Stage.DECODE, Stage.PREFILL, Stage.QUEUE):
        joined = spans.of_stage(stage) & (spans.end_ns == begun[spans.request])
        begun[spans.request[joined]] = spans.start_ns[joined]
    cut = np.asarray(table["finish_reason"].to_numpy() == "cut") & (begun > 0)
    return np.asarray(np.where(cut, np.minimum(needed, begun), needed))


def _blocked_early(trial: StoredTrial, calls: Calls) -> Bools:
    reasons = np.asarray(trial.table["finish_reason"].to_numpy() == "blocked")
    aborted = np.zeros(len(reasons), dtype=np.bool_)
    aborted[calls.request[calls.aborted]] = True
    return np.asarray(reasons & aborted)
