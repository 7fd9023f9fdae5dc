"""The one thread that reads all meters, ten times a second, while a window is open."""

import threading
import time

from profiler.meters.recorder import Recorder
from profiler.records.samples import Samples

PERIOD_S = 0.1


class Sampler:
    """Drives a recorder from a thread of its own. Windows are opened and closed by whoever runs the trials."""

    def __init__(self, recorder: Recorder, period_s: float = PERIOD_S) -> None:
        """Start the thread; it sleeps until a window opens."""
        self._recorder = recorder
        self._period_s = period_s
        self._changed = threading.Condition()
        self._open = self._closing = False
        self._cpu_s = 0.0
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="meters", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Open a window. Takes milliseconds: call it from a thread where an event loop must not wait."""
        self._recorder.begin()
        with self._changed:
            self._open, self._cpu_s = True, 0.0
            self._changed.notify()

    def end(self) -> Samples:
        """Close the window. `facts["sampler_cpu_s"]` is what the sampling itself took of a core.

        Raises:
            Exception: what ended the sampling before.
        """
        with self._changed:
            self._open = False
            self._changed.notify()
            if self._failure is not None:
                raise self._failure
            own = {"period_s": self._period_s, "sampler_cpu_s": self._cpu_s}
        return self._recorder.end(own)

    def close(self) -> None:
        """Stop the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        due_s = 0.0
        while self._wait_until(due_s):
            begun_s = time.thread_time()
            try:
                self._recorder.sweep()
            except Exception as failure:  # noqa: BLE001 - a thread has nobody to raise it to: `end` does
                self._failure = failure
                return
            now_s = time.monotonic()
            # A sweep that came late is not made up for.
            due_s = max(due_s + self._period_s, now_s) if due_s else now_s + self._period_s
            self._cpu_s += time.thread_time() - begun_s

    def _wait_until(self, due_s: float) -> bool:
        """Whether it is time for a sweep; False when there is nothing more to do."""
        with self._changed:
            while not self._closing:
                left_s = due_s - time.monotonic()
                if self._open and left_s <= 0:
                    return True
                self._changed.wait(left_s if self._open else None)
            return False
