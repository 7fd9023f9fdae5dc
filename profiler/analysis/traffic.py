"""What a recorded day asks of a fleet: the rate of its busiest minute, and hour by hour.

The window is a minute: much longer than a queue within an objective of seconds takes to fill or to empty, so that
the rate over it decides whether the objective holds, and about as long as a replica takes to start, so that nothing
shorter can be answered by starting one.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
WINDOW_S = 60.0
HOUR_S = 3600.0
FEW_ARRIVALS = 100
"""A busiest minute with fewer arrivals is as much chance as traffic: its count is good to a tenth at best."""


@dataclass(frozen=True)
class Traffic:
    """Arrivals over `seconds`, each counting `scale` times. `hours_hz` (hours,): the busiest minute's rate of each.

    `hours_s` (hours,) is how long each lasted: the last may be cut. `peak_arrivals` are the trace's own, not scaled.
    """

    seconds: float
    requests: int
    scale: float
    peak_hz: float
    peak_arrivals: int
    hours_hz: Floats
    hours_s: Floats

    @property
    def mean_hz(self) -> float:
        """Requests/s over the whole trace."""
        return self.scale * self.requests / self.seconds


def traffic_of(arrivals_ns: npt.ArrayLike, mean_hz: float | None = None) -> Traffic:
    """Of arrivals, shape (requests,), ns, not decreasing; with `mean_hz` the same shape at another mean rate.

    The busiest minute is any, not only one that begins on the clock's; it counts for the hour that it begins in.

    Raises:
        ValueError: the trace is shorter than a window, or has fewer than two arrivals.
    """
    at_s = np.asarray(arrivals_ns, dtype=np.float64) / 1e9
    if len(at_s) < 2 or at_s[-1] - at_s[0] < WINDOW_S:
        raise ValueError(f"a busiest minute needs a trace of {WINDOW_S:g} s or more")
    at_s = at_s - at_s[0]
    seconds = float(at_s[-1])
    counts = np.searchsorted(at_s, at_s + WINDOW_S, side="left") - np.arange(len(at_s))
    scale = 1.0 if mean_hz is None else mean_hz * seconds / len(at_s)
    # What is left of less than a window is no hour: it belongs to the last.
    hours = max(1, math.ceil((seconds - WINDOW_S) / HOUR_S))
    busiest, lasted = np.zeros(hours), np.full(hours, HOUR_S)
    np.maximum.at(busiest, np.minimum(at_s // HOUR_S, hours - 1).astype(np.int64), counts)
    lasted[-1] = seconds - HOUR_S * (hours - 1)
    return Traffic(
        seconds,
        len(at_s),
        scale,
        float(counts.max()) * scale / WINDOW_S,
        int(counts.max()),
        busiest * scale / WINDOW_S,
        lasted,
    )
