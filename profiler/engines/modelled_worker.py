"""A machine that does one piece of work at a time, slower while others use it."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# In real time a piece begins when the last one should have ended, unless that is longer ago than this.
_CATCH_UP_NS = 2_000_000


class Worker:
    """Calls back when a piece of work is done. All methods belong on the running event loop.

    `clock_ns` is when the present piece began or was last slowed down. In virtual time that is exact; in
    real time a late timer does not delay the pieces after it.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        """An idle worker on the clock `now_ns`."""
        self.clock_ns = 0
        self._now_ns = now_ns
        self._contenders: dict[object, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._left_ns = 0.0
        self._slowdown = 1.0
        self._due_ns = 0

    def do(self, cost_ns: float, then: Callable[[], None]) -> None:
        """Begin a piece of work that takes `cost_ns` undisturbed, after the last; call `then` at its end."""
        self.clock_ns = max(self.clock_ns, self._now_ns() - _CATCH_UP_NS)
        self._left_ns = max(cost_ns, 0.0)
        self._then = then
        self._set_timer()

    def do_now(self, cost_ns: float, then: Callable[[], None]) -> None:
        """The same after a rest."""
        self.clock_ns = self._now_ns()
        self.do(cost_ns, then)

    def stop(self) -> None:
        """Drop the present piece of work."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @contextmanager
    def busy(self, extra_fraction: float) -> Iterator[None]:
        """Stretch work by 1 + the sum of all contenders' fractions while the block runs."""
        if extra_fraction < 0:
            raise ValueError("a contender cannot speed the work up")
        contender = object()
        self._contenders[contender] = extra_fraction
        self._contention_changed()
        try:
            yield
        finally:
            del self._contenders[contender]
            self._contention_changed()

    def _set_timer(self) -> None:
        self._slowdown = 1.0 + math.fsum(self._contenders.values()) if self._contenders else 1.0
        self._due_ns = self.clock_ns + round(self._left_ns * self._slowdown)
        delay_s = (self._due_ns - self._now_ns()) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._done)

    def _done(self) -> None:
        self._timer = None
        self.clock_ns = self._due_ns
        self._then()

    def _contention_changed(self) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        now_ns = min(max(self._now_ns(), self.clock_ns), self._due_ns)
        self._left_ns -= (now_ns - self.clock_ns) / self._slowdown
        self.clock_ns = now_ns
        self._set_timer()
