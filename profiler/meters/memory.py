"""Memory of the run's process tree, sampled in a thread of its own."""

import threading

import psutil

_PERIOD_S = 0.5


class MemoryMeter:
    """Peak of the summed resident memory of this process and its descendants, MiB.

    Resident sets are added up, so a page that processes share counts once for each of them.
    """

    def __init__(self) -> None:
        """Start sampling."""
        self._peak = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-meter", daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Begin a new window."""
        with self._lock:
            self._peak = 0
        self._sample()

    def peak_mib(self) -> float:
        """Peak since the last reset."""
        self._sample()
        with self._lock:
            return self._peak / 2**20

    def close(self) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            self._sample()

    def _sample(self) -> None:
        now = sum(_rss(process) for process in _tree())
        with self._lock:
            self._peak = max(self._peak, now)


def cpu_seconds() -> float:
    """CPU seconds (user + system) used so far by this process and its living descendants."""
    total = 0.0
    for process in _tree():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _tree() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
