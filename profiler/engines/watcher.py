"""Ends processes once another has ended, however it ended: `python watcher.py DRIVER PID...`.

vLLM's engine core and its workers outlive a driver that was killed, and hold the device's memory until somebody looks
for them. A process of its own does the watching: nothing else is left to do it. Processes are held by descriptors, so
that a number which the system gives out again is not mistaken for them. Imports nothing but the standard library.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress


def start_watcher(pids: Iterable[int]) -> "subprocess.Popen[bytes] | None":
    """Watch this process for the sake of `pids`, its descendants; None on a kernel without process descriptors."""
    # Python may know of descriptors and the kernel, or what fences the process in, may not.
    if (own := _held(os.getpid()) if hasattr(os, "pidfd_open") else None) is None:
        return None
    os.close(own)
    command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), *map(str, pids)]
    # A session of its own: what ends the driver's process group is not to end the watcher before it has done its work.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def stop_watcher(watcher: "subprocess.Popen[bytes] | None") -> None:
    """The processes have ended in order: nobody needs to be watched any more."""
    if watcher is not None:
        watcher.kill()  # SIGTERM may be ignored, as it was where this process was started
        watcher.wait()


def _watch(driver: int, pids: Sequence[int]) -> None:
    held = [fd for pid in pids if (fd := _held(pid)) is not None]
    if (watched := _held(driver)) is not None:
        select.select([watched], [], [])  # readable once it has ended
    for fd in held:
        with suppress(OSError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)


def _held(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


if __name__ == "__main__":
    _watch(int(sys.argv[1]), [int(pid) for pid in sys.argv[2:]])
