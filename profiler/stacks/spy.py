"""py-spy beside a trial: one recorder a process, from outside, stopped in the end.

Source: py-spy (B. Frederickson), which reads a process's memory and unwinds its stacks; `--native` adds C frames.
A recorded trial is slower than others: none of its latencies is kept.
"""

import asyncio
import ctypes
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from profiler.meters.not_measured import NotMeasured

RATE_HZ = 100
_END_S = 30.0
_CURE = (
    "let it with `sudo sysctl kernel.yama.ptrace_scope=0`, in a container with `--cap-add=SYS_PTRACE`, or run as root"
)
_PR_SET_PTRACER, _ANYONE = 0x59616D61, -1


def py_spy() -> Path | None:
    """The py-spy of this environment, or of the path."""
    beside = Path(sys.executable).parent / "py-spy"
    found = str(beside) if beside.is_file() else shutil.which("py-spy")
    return None if found is None else Path(found)


async def spying_right() -> NotMeasured | None:
    """Why py-spy cannot read this process, and how to let it; None where it can."""
    program = py_spy()
    if program is None:
        return NotMeasured("py-spy is not installed", "run `make setup`")
    _let_be_traced()
    command = (str(program), "dump", "--pid", str(os.getpid()))
    looking = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    _, said = await looking.communicate()
    if looking.returncode == 0:
        return None
    reason = next((line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()), "no reason")
    return NotMeasured(f"py-spy may not read other processes ({reason[:120]})", _CURE)


def _let_be_traced() -> None:
    """Yama's usual setting lets nobody but a parent look: this process says that others may."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PTRACER, ctypes.c_ulong(_ANYONE), 0, 0, 0)


@asynccontextmanager
async def recorded(processes: Mapping[str, int], folder: Path) -> AsyncIterator[dict[str, Path]]:
    """Record each process (by name, a pid) while the context is open; the files are whole after it.

    A process that py-spy could not record has no file; what py-spy said of it is in `<name>.txt`.
    """
    program = py_spy()
    files = {name: folder / f"{name}.speedscope.json" for name in processes}
    running: dict[str, Process] = {}
    if program is not None:
        for name, pid in processes.items():
            running[name] = await _start(program, pid, files[name])
    try:
        yield files
    finally:
        for name, process in running.items():
            await _stop(process, folder / f"{name}.txt", files[name])


async def _start(program: Path, pid: int, file: Path) -> Process:
    command = (
        str(program), "record", "--pid", str(pid), "--format", "speedscope", "--output", str(file),
        "--rate", str(RATE_HZ), "--native", "--full-filenames", "--duration", "unlimited",
    )  # fmt: skip
    # A group of its own: a Ctrl-C in the terminal is the driver's to pass on.
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, start_new_session=True)
    # It says so when it begins to sample; where it cannot, its output ends.
    assert process.stdout is not None
    while (line := await process.stdout.readline()) and b"Sampling" not in line:
        pass
    return process


async def _stop(process: Process, told: Path, file: Path) -> None:
    """End a recorder as Ctrl-C would, so that it writes what it has."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(_END_S):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        _, said = await process.communicate()
    await asyncio.to_thread(_tell, told, said, file)


def _tell(told: Path, said: bytes, file: Path) -> None:
    """Keep what py-spy said where it has written nothing else."""
    if not file.is_file():
        told.write_bytes(said)
