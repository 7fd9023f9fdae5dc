"""py-spy on real processes: what it sees, and what is said where it may not look."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.stacks import spy
from profiler.stacks.modules import waits
from profiler.stacks.run import summarised
from profiler.stacks.speedscope import read_stacks

BURN = """
import sys
def burn_here():
    sum(range(100_000))
for line in sys.stdin:
    for _ in range(500):
        burn_here()
    print("burnt", flush=True)
"""


@pytest.fixture
def burning() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def may_spy() -> None:
    if (why := asyncio.run(spy.spying_right())) is not None:
        pytest.skip(why.why)


async def sampled(child: subprocess.Popen[bytes], folder: Path) -> dict[str, Path]:
    """Recorded while the child does a fixed amount of work."""
    assert child.stdin is not None and child.stdout is not None
    async with spy.recorded({"child": child.pid, "gone": 2**22 - 1}, folder) as files:
        child.stdin.write(b"go\n")
        child.stdin.flush()
        await asyncio.to_thread(child.stdout.readline)
    return files


def test_a_busy_function_is_seen_and_drawn(burning: subprocess.Popen[bytes], tmp_path: Path) -> None:
    may_spy()
    files = asyncio.run(sampled(burning, tmp_path))
    stacks = read_stacks(files["child"])
    busy = [stack for stack in stacks if any(frame.name == "burn_here" for frame in stack)]
    assert busy and not any(waits(stack) for stack in busy)
    found = summarised("arm", 4, files, tmp_path)
    assert found.seconds["child"]["other"] > 0
    assert "burn_here" in (tmp_path / "flame.svg").read_text()
    # A process that is not there is missing, with py-spy's own words.
    assert "gone" not in found.seconds and "rror" in found.missing["gone"]


def test_where_py_spy_may_not_look_the_cure_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = tmp_path / "py-spy"
    refusing.write_text(
        "#!/bin/sh\necho 'Permission Denied: Try running again with elevated permissions' >&2\nexit 1\n"
    )
    refusing.chmod(0o755)
    monkeypatch.setattr(spy, "py_spy", lambda: refusing)
    why = asyncio.run(spy.spying_right())
    assert why is not None
    assert "Permission Denied" in why.line and "ptrace_scope=0" in why.line and "SYS_PTRACE" in why.line
    monkeypatch.setattr(spy, "py_spy", lambda: None)
    why = asyncio.run(spy.spying_right())
    assert why is not None and "not installed" in why.why
