"""An event loop whose clock is virtual: when idle it jumps to the next timer instead of sleeping.

Simulated minutes run in the time that their callbacks take. For pure-asyncio code only: a thread, a
subprocess or a socket finishes in real time, which this clock knows nothing of, so all are refused.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Not zero, since a time of 0 means "never" in the records.
START_NS = 1_000_000_000
LIMIT_NS = 2_000_000 * 10**9

# The loop's wake-up pipe brings nothing but signals; looking at each turn would cost as much as the turn.
_TURNS_PER_LOOK = 256


class Deadlock(RuntimeError):
    """Nothing is ready and nothing is scheduled: real time would wait for ever."""


class NotVirtual(RuntimeError):
    """The code asked for something that only real time can finish."""


class _JumpingSelector(selectors.DefaultSelector):
    """Tells `idle` how long the loop wanted to sleep, and never sleeps."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._idle = idle
        self._turn = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turn = (self._turn + 1) % _TURNS_PER_LOOK
        events = [] if self._turn else super().select(0)
        if not events and timeout != 0:
            # One descriptor is the loop's own wake-up pipe.
            if len(self.get_map()) > 1:
                raise NotVirtual("a socket, pipe or subprocess is open: virtual time cannot wait for it")
            self._idle(timeout)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop that starts at 1 s and moves only when nothing is ready.

    The clock is an integer of nanoseconds, and a sleep of d/1e9 seconds ends exactly d ns later. It ends at
    2e6 s (23 days), beyond which asyncio's timers, seconds as floats, no longer resolve a nanosecond.
    """

    def __init__(self) -> None:
        self._virtual_ns = START_NS
        super().__init__(_JumpingSelector(self._jump))
        # asyncio also runs timers due within this many seconds of now. Its default is 1 ns: one tick early.
        self._clock_resolution = 0.5e-9

    def now_ns(self) -> int:
        """The virtual time, ns."""
        return self._virtual_ns

    def time(self) -> float:
        """The virtual time in seconds, for asyncio's timers."""
        return self._virtual_ns / 1e9

    def _jump(self, seconds: float | None) -> None:
        if seconds is None:
            raise Deadlock("every task waits for another: nothing is ready and no timer is set")
        # A timer half a nanosecond away rounds to none, and asyncio would ask for it for ever.
        self._virtual_ns += max(1, round(seconds * 1e9))
        if self._virtual_ns > LIMIT_NS:
            raise OverflowError("virtual time has run for 2e6 s: asyncio's timers no longer resolve a nanosecond")

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Refuse: a thread works in real time.

        Raises:
            NotVirtual: always.
        """
        raise NotVirtual(f"{func} wants a thread: virtual time runs pure-asyncio code only")


class InlineThreadsLoop(VirtualTimeLoop):
    """A virtual loop that does a thread's work itself, at once: it takes no virtual time.

    For code that reads and writes files in threads; what waits for the loop would wait for ever.
    """

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call it now; its result or exception is the future's."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whatever it raises is the awaiter's
            future.set_exception(error)
        return future


def run_virtual(main: Callable[[], Coroutine[Any, Any, T]], loop: Callable[[], VirtualTimeLoop] = VirtualTimeLoop) -> T:
    """Run `main()` to its end in virtual time, in a loop of its own, and return its result.

    `loop` makes it: `InlineThreadsLoop` does what is given to threads itself.

    Raises:
        Deadlock: nothing is ready and nothing is scheduled.
        NotVirtual: the code uses a thread, a subprocess or a socket.
        OverflowError: the clock has passed 2e6 s.
    """
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


def now_ns() -> int:
    """The running virtual loop's time, ns; pass it wherever `time.monotonic_ns` would go.

    Raises:
        RuntimeError: no loop is running; `NotVirtual`, which is one: the running loop is a real one.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise NotVirtual("the running event loop has no virtual clock: use run_virtual")
    return loop.now_ns()
