"""Goodput: the share of requests that met every stated objective, and how far that share may be off."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiler.analysis.columns import Bools, ints
from profiler.analysis.stats import Interval, clustered_mean, proportion
from profiler.records.record import Outcome
from profiler.scenario import SloConfig

# Requests that are near in time share a queue: they are good or bad together.
_BATCHES = 5


def stated(slo: SloConfig) -> dict[str, float]:
    """The objectives that were stated, ms by name."""
    return {name: limit for name, limit in slo.model_dump().items() if limit is not None}


def good_requests(table: pa.Table, slo: SloConfig) -> Bools:
    """Which requests met every stated objective; shape (requests,), in the table's order.

    vLLM bench's definition (`vllm/benchmarks/serve.py`, calculate_metrics): a completed request is good if
    TTFT, TPOT and E2EL are each at most the limit, and the TPOT of an answer of one token is 0. TPOT divides by
    all tokens but one, as vLLM's does, also where the first piece held several (the report's does not). Here a
    failed request is there and not good, a refusal is an answer like any other, and times count from the
    scheduled arrival.
    """
    scheduled, first, last = (ints(table, name) for name in ("scheduled_ns", "first_ns", "last_ns"))
    tokens = ints(table, "output_tokens")
    measured_ms = {
        "ttft_ms": (first - scheduled) / 1e6,
        "tpot_ms": np.where(tokens > 1, (last - first) / 1e6 / np.maximum(tokens - 1, 1), 0.0),
        "e2el_ms": (last - scheduled) / 1e6,
    }
    failed = np.asarray(pc.equal(pc.cast(table["outcome"], pa.string()), Outcome.ERROR.value))
    good = (first > 0) & ~failed.astype(np.bool_)
    for name, limit_ms in stated(slo).items():
        good &= measured_ms[name] <= limit_ms
    return np.asarray(good, dtype=np.bool_)


def good_share(good: list[Bools], confidence: float = 0.95) -> Interval:
    """The share of good requests over one or more probes at one rate, with its interval.

    The wider on either side of two: Clopper & Pearson 1934 (`proportion`), which takes requests for
    independent, and the mean over batches of consecutive requests (batch means, Law 2015, section 9.5.3;
    here `clustered_mean`), which does not, and which alone would be certain where every request was good.

    Args:
        good: one array of shape (requests,) a probe, in the order of arrival.
        confidence: two-sided.

    Raises:
        ValueError: no request at all.
    """
    hits, n = int(sum(each.sum() for each in good)), sum(map(len, good))
    exact = proportion(hits, n, confidence)
    batches = [batch for each in good for batch in np.array_split(each.astype(np.float64), _BATCHES) if len(batch)]
    if len(batches) < 2:
        return exact
    batched = clustered_mean(batches, confidence)
    low, high = max(0.0, min(exact.low, batched.low)), min(1.0, max(exact.high, batched.high))
    return Interval(hits / n, low, high, confidence)


def fewest_requests(share: float, confidence: float = 0.95) -> int:
    """How many requests, all of them good, show that more than `share` are: Clopper & Pearson 1934.

    Raises:
        ValueError: share or confidence not strictly between 0 and 1.
    """
    if not 0 < share < 1 or not 0 < confidence < 1:
        raise ValueError(f"share and confidence must be between 0 and 1, not {share} and {confidence}")
    # All of n good has the lower end ((1 - confidence) / 2) ** (1 / n).
    return math.floor(math.log((1 - confidence) / 2) / math.log(share)) + 1
