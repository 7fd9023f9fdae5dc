"""A process that keeps one core busy now and then: a known load on whoever shares the machine."""

import multiprocessing
import random
import signal
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection

_RESUME, _PAUSE, _BEGAN, _ENDED = range(4)
_KEPT = 4096


class CpuBurner:
    """Burns one core `share` of the time, in bursts of `burst_s` with exponential gaps between them.

    Bursts and gaps are random, so that they fall in step with nothing. `bursts` tells when they were.
    """

    def __init__(self, share: float, burst_s: float = 0.1, seed: int = 0) -> None:
        """Start the process, paused.

        Raises:
            ValueError: share not strictly between 0 and 1, or burst_s not positive.
        """
        if not 0 < share < 1 or burst_s <= 0:
            raise ValueError(f"need 0 < share < 1 and a positive burst, not {share} and {burst_s}")
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        gap_s = burst_s * (1 - share) / share
        self._process = context.Process(target=_burn, args=(theirs, gap_s, burst_s, seed), name="burner", daemon=True)
        self._process.start()
        theirs.close()
        self._done: deque[tuple[int, int]] = deque(maxlen=_KEPT)
        self._began_ns = 0

    def resume(self) -> None:
        """Begin to burn now and then."""
        self._pipe.send((_RESUME, 0))

    def pause(self) -> None:
        """Stop, in the middle of a burst too."""
        self._pipe.send((_PAUSE, 0))

    def bursts(self, since_ns: int) -> Sequence[tuple[int, int]]:
        """Start and end (monotonic ns) of the bursts that ended after `since_ns`; one that goes on ends now."""
        while self._pipe.poll():
            what, at_ns = self._pipe.recv()
            if what == _BEGAN:
                self._began_ns = at_ns
            else:
                self._done.append((self._began_ns, at_ns))
                self._began_ns = 0
        found = [burst for burst in self._done if burst[1] > since_ns]
        return [*found, (self._began_ns, time.monotonic_ns())] if self._began_ns else found

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.terminate()
        self._process.join(5)


def _burn(pipe: Connection, gap_s: float, burst_s: float, seed: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rng = random.Random(seed)
    active = False
    try:
        while True:
            if pipe.poll(rng.expovariate(1 / gap_s) if active else None):
                active = pipe.recv()[0] == _RESUME
                continue
            pipe.send((_BEGAN, time.monotonic_ns()))
            end_ns = time.monotonic_ns() + round(burst_s * 1e9)
            while time.monotonic_ns() < end_ns and not pipe.poll():
                sum(range(2_000))
            pipe.send((_ENDED, time.monotonic_ns()))
    except (EOFError, OSError):
        return
