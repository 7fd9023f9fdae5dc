"""Which calls of the engine were for candidates that nobody was shown: those of a reranker's other rounds."""

import numpy as np

from guards.trace import Stage
from profiler.analysis.columns import Bools, Calls, Spans


def passed_over(calls: Calls, spans: Spans) -> Bools:
    """The calls, shape (calls,), that lie within a `candidates` span of their request, from the sending to the end.

    The span of the chosen candidate's own call begins in its midst.
    """
    found = np.zeros(len(calls.request), dtype=np.bool_)
    waits = np.flatnonzero(spans.of_stage(Stage.CANDIDATES))
    if not len(waits) or not len(found):
        return found
    # Per request, the waits are few: before the chosen round, and from its chosen candidate on.
    order = waits[np.lexsort((spans.start_ns[waits], spans.request[waits]))]
    first = np.searchsorted(spans.request[order], calls.request, "left")
    last = np.searchsorted(spans.request[order], calls.request, "right")
    for place in range(int((last - first).max())):
        at = order[np.minimum(first + place, len(order) - 1)]
        within = (spans.start_ns[at] <= calls.sent_ns) & (calls.ended_ns <= spans.end_ns[at])
        found |= (first + place < last) & within
    return found
