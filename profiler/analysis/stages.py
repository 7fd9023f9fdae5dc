"""What the direct time went into: a sweep over each request's spans, so that no moment counts twice."""

import numpy as np

from guards.trace import Stage
from profiler.analysis.columns import Bools, Ints, Spans
from profiler.analysis.timeline import Floats, Timeline

# Where spans overlap, the first of these that is under way takes the time. Work that a user waits for comes
# before the waiting that it causes. What no span covers is the wrapper's own.
PRIORITY = (
    Stage.DECODE, Stage.PREFILL, Stage.QUEUE, Stage.SCORING, Stage.CANDIDATES, Stage.HOLD_BACK,
)  # fmt: skip
WRAPPER = "wrapper"


def stage_times_ms(line: Timeline, spans: Spans) -> dict[str, Floats]:
    """Direct time by stage, ms, each of shape (requests,); with the wrapper they add up to the direct time."""
    found = {stage.value: np.zeros(len(line.sent_ns)) for stage in PRIORITY}
    for start, end in ((line.sent_ns, line.engine_from_ns), (line.engine_to_ns, line.to_ns)):
        for name, times in _within(start, end, spans).items():
            found[name] += times
    found[WRAPPER] = line.direct_ms - np.sum(list(found.values()), axis=0)
    return found


def _within(start: Ints, end: Ints, spans: Spans) -> dict[str, Floats]:
    """The spans' share of [start, end] of their request, by stage."""
    rank = _ranks(spans)
    low, high = np.maximum(spans.start_ns, start[spans.request]), np.minimum(spans.end_ns, end[spans.request])
    inside = (high > low) & (rank >= 0)
    request, low, high, rank = spans.request[inside], low[inside], high[inside], rank[inside]
    n = len(start)
    if not len(request):
        return {}
    when = np.concatenate([low, high])
    order = np.lexsort((when, np.concatenate([request, request])))
    owner = np.concatenate([request, request])[order]
    length_ms = np.diff(when[order], append=when[order][-1]) / 1e6
    length_ms[np.flatnonzero(np.diff(owner, append=-1) != 0)] = 0.0
    taken = np.zeros(len(when), dtype=np.bool_)
    times: dict[str, Floats] = {}
    for position, stage in enumerate(PRIORITY):
        active = _active(rank == position, order) & ~taken
        taken |= active
        times[stage.value] = np.asarray(np.bincount(owner[active], length_ms[active], minlength=n), dtype=np.float64)
    return times


def _active(mine: Bools, order: Ints) -> Bools:
    """Whether a span of the stage is under way after each event."""
    change = np.concatenate([mine.astype(np.int64), -mine.astype(np.int64)])[order]
    return np.asarray(np.cumsum(change) > 0)


def _ranks(spans: Spans) -> Ints:
    names = [stage.value for stage in PRIORITY]
    by_code = np.array([names.index(name) if name in names else -1 for name in spans.stages] or [-1])
    return np.asarray(by_code[spans.stage] if len(spans.stage) else np.zeros(0, dtype=np.int64), dtype=np.int64)
