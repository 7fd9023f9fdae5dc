r"""`--json-progress`: one JSON object a line on standard error; standard output is the result alone.

Every line has `event` and `at` (UTC, ISO 8601). A figure that was not measured is null. What libraries and child
processes complain of on standard error is no JSON: skip lines that do not begin with `{`. A measurement waits for no
reader: `dropped` says how many events before this one were left out, because too many had not been read.

run_started     run, scenario, model, arms, blocks, trials (null under `until`), requests_per_trial, finished_trials,
                until, not_measured (why, by meter)
trial_started   trial, block (both from 0), arm, replicate
trial_finished  the same, and requests, outcomes, seconds, output_tokens_per_s, ttft_ms, tpot_ms and e2el_ms (mean,
                p50), watts (by gpu, cpu), peak_memory_mib, guards (checks by guard and answer since this
                process began: not those of a run before `--resume`), seconds_left
interval        arm, metric, blocks, relative, ci95, half_width, goal: after each block, an arm's tax as it stands
probe_finished  of `saturate`, in place of the trials: round, arm, rate_hz (null: the closed loop), throughput_hz,
                requests that count, good_share, stopped and invalid (why, or empty)
note            text: a line that a person would have seen
warning         text: what limits or voids the result
run_finished    run, ending, complete, valid (null if there was nothing to judge)
error           text: the last line, of a command that could not be done: exit status 2
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console

from profiler.report.live.writer import Writer


class EventConsole(Console):
    """A console whose lines become `note` events; what a program reads and a person would not is `emit`ted."""

    def __init__(self, stream: TextIO) -> None:
        """Onto a stream, each line flushed."""
        super().__init__(file=_Notes(self), force_terminal=False, color_system=None, width=10_000)  # type: ignore[arg-type]
        self._writer, self._waits, self._dropped = Writer(stream), True, 0

    def measuring(self, under_way: bool) -> None:
        """While a measurement is `under_way` no event waits for its reader."""
        self._waits = not under_way

    def emit(self, event: str, **values: Any) -> None:
        """Write one event; what JSON has no number for becomes null."""
        said = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}
        if self._dropped:
            said["dropped"] = self._dropped
        line = json.dumps(_finite(said))
        if self._waits:
            self._writer.write(line)
        elif not self._writer.offer(line):
            self._dropped += 1
            return
        self._dropped = 0


class _Notes:
    """A file whose lines are notes."""

    def __init__(self, events: EventConsole) -> None:
        self._events, self._rest = events, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._events.emit("note", text=line.strip())
        return len(text)

    def flush(self) -> None:
        """Every line has been."""


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
