"""Writes lines beside a measurement: it never waits for who reads them, and nobody who leaves can end it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import IO

_ROOM = 256


class Writer:
    """Onto a stream, by a thread of its own. Python ends that thread, once every line is written, when it ends."""

    def __init__(self, stream: IO[str], room: int = _ROOM) -> None:
        """No more than `room` lines wait at a time."""
        self._stream, self._room = stream, Semaphore(room)
        self._thread: ThreadPoolExecutor | None = None
        self._silent = False

    def offer(self, line: str) -> bool:
        """Have a line written some time; False: there was no room for it, and it never will be."""
        if not self._room.acquire(blocking=False):
            return False
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "said")
        self._thread.submit(self._write_offered, line)
        return True

    def write(self, line: str) -> None:
        """Write a line now, after all that were offered before it. Waits for the reader: not during a measurement."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        self._write(line)

    def close(self, patience_s: float = 1.0) -> None:
        """Give the lines that wait so long to be written; those that have not been by then never are."""
        if self._thread is None:
            return
        try:
            self._thread.submit(int).result(patience_s)
        except TimeoutError:
            self._silent = True

    def _write_offered(self, line: str) -> None:
        try:
            self._write(line)
        finally:
            self._room.release()

    def _write(self, line: str) -> None:
        if self._silent:
            return
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The reader has left, the disk is full, the stream is closed: what is measured goes on.
            self._silent = True
