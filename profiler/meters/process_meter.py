"""CPU seconds and memory of every process of the run."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from profiler.meters.meter import Sink
from profiler.meters.not_measured import NotMeasured
from profiler.meters.processes import ProcessTree, Tracked
from profiler.meters.roles import Role, role_of

# Reading the PSS walks a process's page tables: at least so far apart, and longer where it takes long.
_PSS_EVERY_S = 5.0
_PSS_SHARE = 0.001


class ProcessMeter:
    """Samples `cpu_s` (own), `reaped_s` (of ended children), `rss_bytes` and `pss_bytes` of each process.

    The samples of one sweep have one time. PSS (proportional set size) shares a page out among the processes that
    map it, so it may be summed; RSS counts it once for each. PSS is read at both ends of a window, outside it,
    and seldom inside.
    """

    def __init__(self, root: int | None = None, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Of this process and its descendants, or of another's."""
        self._root = os.getpid() if root is None else root
        self._tree = ProcessTree(self._root)
        self._now_ns = now_ns
        self._known: dict[int, Role] = {}
        self._window: dict[int, Tracked] = {}
        self._next_pss_ns = 0

    @property
    def pids(self) -> frozenset[int]:
        """The processes of the run that are known now."""
        return frozenset(self._tree.members)

    def begin(self, known: Mapping[int, Role]) -> None:
        """A new window, with the roles that are known."""
        self._known = dict(known)
        self._tree.refresh(whole=True)
        for member in self._tree.members.values():
            member.born = False
        self._window = dict(self._tree.members)

    def learn(self, known: Mapping[int, Role]) -> None:
        """Roles of processes that were started in the window; one that has ended keeps what it was."""
        self._known = {**known, **self._known}

    def fast(self, sink: Sink) -> None:
        """CPU and RSS of every process."""
        t_ns = self._now_ns()
        for member in tuple(self._tree.members.values()):
            self._sample(member, sink, t_ns)

    def slow(self, sink: Sink, *, edge: bool) -> None:
        """New processes; PSS where it is due."""
        t_ns = self._now_ns()

        def found(new: Tracked) -> None:
            self._window[new.pid] = new
            self._sample(new, sink, t_ns)

        self._tree.refresh(found=found)
        if edge or t_ns >= self._next_pss_ns:
            self._sample_pss(sink)

    def _sample(self, member: Tracked, sink: Sink, t_ns: int) -> None:
        stat = member.read()
        if stat is None:
            self._tree.drop(member.pid)
            return
        source = f"process:{member.pid}"
        sink.add(source, "cpu_s", stat.cpu_s, t_ns)
        sink.add(source, "reaped_s", stat.reaped_s, t_ns)
        sink.add(source, "rss_bytes", stat.rss_bytes, t_ns)

    def _sample_pss(self, sink: Sink) -> None:
        t_ns = self._now_ns()
        for pid in self._tree.members:
            if (pss := _pss_bytes(pid)) is not None:
                sink.add(f"process:{pid}", "pss_bytes", pss, t_ns)
        took_s = (self._now_ns() - t_ns) / 1e9
        self._next_pss_ns = t_ns + round(max(_PSS_EVERY_S, took_s / _PSS_SHARE) * 1e9)

    def facts(self) -> Mapping[str, Any]:
        """Every process of the window: its parent, its role, whether it was started in it."""
        parents = {pid: member.ppid for pid, member in self._window.items()}
        return {
            "root": self._root,
            "processes": [
                {"pid": pid, "ppid": one.ppid, "role": self._role(one, parents), "born": one.born}
                for pid, one in self._window.items()
            ],
        }

    def _role(self, member: Tracked, parents: Mapping[int, int]) -> Role:
        return "other" if member.helper else role_of(member.pid, parents, self._known, self._root)

    def close(self) -> None:
        """Let the files in /proc go."""
        self._tree.close()


def find_pss() -> NotMeasured | None:
    """Why this machine gives no PSS; None where it does."""
    if _pss_bytes(os.getpid()) is None:
        return NotMeasured("no /proc/PID/smaps_rollup: it takes Linux 4.14 and CONFIG_PROC_PAGE_MONITOR")
    return None


def _pss_bytes(pid: int) -> int | None:
    """Proportional set size; None where the process has ended or the kernel refuses."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Pss:")), None)
