"""The run's process tree, read from /proc at little cost: files are kept open, only new processes are looked up."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TRACKER = b"multiprocessing.resource_tracker"


@dataclass(frozen=True, slots=True)
class Stat:
    """One look at a process. `cpu_s` is its own, `reaped_s` that of its ended children and of theirs."""

    ppid: int
    cpu_s: float
    reaped_s: float
    rss_bytes: int


@dataclass(slots=True)
class Tracked:
    """A process of the tree. The open file names this process for ever, also when its pid is used again."""

    pid: int
    ppid: int
    born: bool
    fd: int
    helper: bool

    def read(self) -> Stat | None:
        """Its figures now; None once it has ended and been waited for."""
        try:
            fields = os.pread(self.fd, 1024, 0).rpartition(b") ")[2].split()
        except (ProcessLookupError, OSError):
            return None
        if len(fields) < 22:
            return None
        cpu_s = _clock_s(self.pid)
        if cpu_s is None:
            cpu_s = (int(fields[11]) + int(fields[12])) * _TICK_S
        reaped_s = (int(fields[13]) + int(fields[14])) * _TICK_S
        return Stat(int(fields[1]), cpu_s, reaped_s, int(fields[21]) * _PAGE)

    def close(self) -> None:
        """Let the file go."""
        os.close(self.fd)


def _clock_s(pid: int) -> float | None:
    """CPU seconds of a process, ns fine, by its CPU clock (clock_getcpuclockid(3)); None where refused."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
    except OSError:
        return None


class ProcessTree:
    """A process and its descendants. One that loses its parent stays in the tree."""

    def __init__(self, root: int) -> None:
        """Of this process."""
        self._root = root
        self._seen: set[int] = set()
        self.members: dict[int, Tracked] = {}

    def refresh(self, *, whole: bool = False, found: Callable[[Tracked], None] = lambda new: None) -> None:
        """Look for new processes: among all, or only among the pids that were not there the last time."""
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        fresh = present if whole else present - self._seen
        self._seen = present
        parents = {pid: ppid for pid in fresh - self.members.keys() if (ppid := _ppid(pid)) is not None}
        for pid in _descendants(parents, {self._root, *self.members}):
            if (new := _track(pid, parents.get(pid, 0), born=not whole)) is not None:
                self.members[pid] = new
                found(new)

    def drop(self, pid: int) -> None:
        """It has ended."""
        self.members.pop(pid).close()

    def close(self) -> None:
        """Let all files go."""
        for pid in tuple(self.members):
            self.drop(pid)


def _descendants(parents: dict[int, int], roots: set[int]) -> Iterator[int]:
    """Those of `parents` that descend from `roots`, and the roots among them; a parent comes before its child."""
    inside, waiting = set(roots), dict(parents)
    while now := [pid for pid, ppid in waiting.items() if ppid in inside or pid in inside]:
        for pid in now:
            waiting.pop(pid)
            inside.add(pid)
            yield pid


def _track(pid: int, ppid: int, *, born: bool) -> Tracked | None:
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    return Tracked(pid, ppid, born, fd, _TRACKER in _command(pid))


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _ppid(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b") ")[2].split()[1])
    except (OSError, IndexError):
        return None
