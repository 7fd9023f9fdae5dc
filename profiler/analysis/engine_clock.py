"""The engine's time on a clock of steps: what a request's stay would have lasted on a machine of steady speed."""

from dataclasses import dataclass

import numpy as np

from profiler.analysis.columns import Ints
from profiler.analysis.step_model import LOADS
from profiler.analysis.steps import Steps
from profiler.analysis.timeline import Floats, Timeline

# What a request's stay in the engine consists of: 4 of load, 4 of wasted load, ms of guards' work beside it.
FEATURES = 2 * LOADS + 1
LOAD, WASTED, WORK = slice(0, LOADS), slice(LOADS, 2 * LOADS), 2 * LOADS


@dataclass(frozen=True)
class EngineClock:
    """Running totals of what the engine's steps held, at every step's start and end."""

    edges_ns: Ints
    totals: Floats

    @classmethod
    def of(cls, steps: Steps) -> "EngineClock":
        """Sum up the steps."""
        held = np.hstack([steps.load, steps.wasted, steps.work_ms[:, None]])
        done = np.cumsum(held, axis=0)
        before = done - held
        edges = np.stack([steps.start_ns, steps.end_ns], axis=1).ravel()
        return cls(edges, np.stack([before, done], axis=1).reshape(-1, FEATURES))

    def stays(self, line: Timeline) -> Floats:
        """Shape (requests, 9): what the engine did while each request waited for it."""
        begin, end = (self._at(times) for times in (line.engine_from_ns, line.engine_to_ns))
        stayed = (line.engine_to_ns > line.engine_from_ns)[:, None]
        return np.where(stayed, end - begin, 0.0)

    def _at(self, times_ns: Ints) -> Floats:
        """The totals at some times; what a step holds is spread evenly over it."""
        after = np.clip(np.searchsorted(self.edges_ns, times_ns), 1, len(self.edges_ns) - 1)
        low, high = self.edges_ns[after - 1], self.edges_ns[after]
        part = np.clip((times_ns - low) / np.maximum(high - low, 1), 0.0, 1.0)[:, None]
        return np.asarray(self.totals[after - 1] * (1 - part) + self.totals[after] * part)
