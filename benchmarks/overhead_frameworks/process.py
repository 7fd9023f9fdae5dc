"""The other end of `child.py`: a framework's process, asked for one round at a time."""

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.overhead_frameworks.venvs import NotMeasured

ROOT = Path(__file__).parents[2]
ANSWER_TIMEOUT_S = 180
# Nothing of a benchmark's goes to anybody, and nothing is fetched for it.
QUIET = {"DO_NOT_TRACK": "1", "NEMO_GUARDRAILS_NO_USAGE_STATS": "1", "OTEL_SDK_DISABLED": "true", "HF_HUB_OFFLINE": "1"}


class Process:
    """Runs one framework's module until closed."""

    def __init__(self, python: Path, module: str, words: Sequence[str], texts: Sequence[str]) -> None:
        """Start it, and have it judge `texts` to warm up.

        Raises:
            NotMeasured: it does not start, or fails.
        """
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - see close
        command = [str(python), "-m", f"benchmarks.overhead_frameworks.{module}"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **QUIET}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        first = self._ask({"words": list(words), "texts": list(texts)})
        self.verdicts: list[bool] = first["verdicts"]
        self.version: str = first["version"]

    def round_ns(self) -> tuple[int, int]:
        """Judge all texts once more: CPU time of the process and time on the clock, ns."""
        answer = self._ask({})
        return answer["cpu_ns"], answer["wall_ns"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failed("it has ended") from None
        # One question, one line: nothing can lie in the reader's buffer.
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_TIMEOUT_S)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise self._failed("it has ended" if ready else f"no answer in {ANSWER_TIMEOUT_S} s")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _failed(self, what: str) -> NotMeasured:
        self._process.kill()
        self._process.communicate()
        self._errors.seek(0)
        said = self._errors.read().split("\n")
        self._errors.close()
        return NotMeasured(next((line.strip() for line in reversed(said) if line.strip()), what))
