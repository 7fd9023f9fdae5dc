"""An engine does not outlive a driver that was killed."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from profiler.engines.watcher import start_watcher, stop_watcher

# A driver with a process that would outlive it, as vLLM's engine core does.
_DRIVER = """
import subprocess, sys
from profiler.engines.watcher import start_watcher
left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
watcher = start_watcher([left.pid])
print(left.pid, watcher.pid, flush=True)
input()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None])
def test_processes_end_with_the_driver(how: signal.Signals | None) -> None:
    with subprocess.Popen([sys.executable, "-c", _DRIVER], stdin=-1, stdout=-1, text=True) as driver:
        assert driver.stdout is not None
        left, watcher = (psutil.Process(int(pid)) for pid in driver.stdout.readline().split())
        if how is None:
            driver.communicate("\n")  # it ends by itself and has forgotten them
        else:
            driver.send_signal(how)
        # Whoever inherits them may be slow to take note of their end.
        for process in (left, watcher):
            _ended(process)


def test_a_watcher_that_is_not_needed_any_more_ends_and_ends_nobody() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, start_new_session=True) as left:
        watcher = start_watcher([left.pid])
        assert watcher is not None
        stop_watcher(watcher)
        assert watcher.returncode == -signal.SIGKILL and left.poll() is None
        left.communicate(os.linesep.encode())
        assert left.returncode == 0


def test_a_watcher_that_inherits_to_ignore_sigterm_can_be_stopped() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        stop_watcher(start_watcher([]))  # ends
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_kernel_without_process_descriptors_has_no_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", unknown)
    assert start_watcher([]) is None


def _ended(process: psutil.Process) -> None:
    given_up_s = time.monotonic() + 30
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < given_up_s, "still running"
        with suppress(psutil.TimeoutExpired):
            process.wait(timeout=0.05)
