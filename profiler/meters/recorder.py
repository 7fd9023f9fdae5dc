"""Collects the samples of all meters over one window into plain arrays."""

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from profiler.meters.meter import Meter
from profiler.records.samples import Samples

# Of the fast readings, one in so many goes with a slow one.
_SLOW_EVERY = 10


class Recorder:
    """A window at a time: `begin`, `sweep` as often as wanted, `end`. May be swept from another thread."""

    def __init__(self, meters: Sequence[Meter], now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Of these meters."""
        self._meters = meters
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._open = False
        self._clear()

    def _clear(self) -> None:
        self._keys: dict[tuple[str, str], int] = {}
        self._key, self._t_ns, self._value = array("I"), array("q"), array("d")
        self._sweeps = 0

    def add(self, source: str, name: str, value: float, t_ns: int) -> None:
        """Take a sample from a meter."""
        self._key.append(self._keys.setdefault((source, name), len(self._keys)))
        self._t_ns.append(t_ns)
        self._value.append(value)

    def begin(self) -> None:
        """Open a window: what is dear is read first, so that the last readings are next to it."""
        with self._lock:
            self._clear()
            for meter in self._meters:
                meter.slow(self, edge=True)
            self._began_ns = self._now_ns()
            for meter in self._meters:
                meter.fast(self)
            self._open = True

    def sweep(self) -> None:
        """Read every meter once, if a window is open."""
        with self._lock:
            if not self._open:
                return
            self._sweeps += 1
            for meter in self._meters:
                meter.fast(self)
                if self._sweeps % _SLOW_EVERY == 0:
                    meter.slow(self, edge=False)

    def end(self, facts: dict[str, Any] | None = None) -> Samples:
        """Close the window; its samples, with the meters' facts and `facts`."""
        with self._lock:
            self._open = False
            for meter in self._meters:
                meter.fast(self)
            ended_ns = self._now_ns()
            for meter in self._meters:
                meter.slow(self, edge=True)
            said = {"began_ns": self._began_ns, "ended_ns": ended_ns, "sweeps": self._sweeps, **(facts or {})}
            for meter in self._meters:
                said |= meter.facts()
            return Samples(
                said,
                tuple(self._keys),
                np.array(self._key, np.int64),
                np.array(self._t_ns, np.int64),
                np.array(self._value, np.float64),
            )
