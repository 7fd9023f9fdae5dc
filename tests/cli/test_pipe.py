"""A pipe whose reader has left: no traceback, no complaint; a gate still decides."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from profiler.commands.pipe import reader_may_leave
from tests.gate.stored import stored_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_run(tmp_path_factory.mktemp("results") / "run", {"none": 500.0, "a": 600.0}, blocks=3)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("report RUN", 0),
        ("report RUN --format json", 0),
        ("history FOLDER", 0),
        ("gate RUN --max 'e2el_mean +5%'", 1),
    ],
)
def test_a_reader_that_leaves_is_no_error(run: Path, arguments: str, status: int) -> None:
    words = arguments.replace("RUN", str(run)).replace("FOLDER", str(run.parent))
    command = [sys.executable, "-m", "profiler.cli", *shlex.split(words)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()  # nobody reads, from the first byte on
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == status
    assert said == ""


def test_a_pipe_of_another_process_is_not_the_output_s(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BrokenPipeError), reader_may_leave():
        raise BrokenPipeError
