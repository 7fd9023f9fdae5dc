"""A plain line every few seconds: for a pipe, a log, a terminal that cannot move its cursor."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console

from profiler.plan import PlannedTrial
from profiler.records.record import RequestRecord
from profiler.records.store import StoredTrial, TrialFile
from profiler.report.live.outline import Outline
from profiler.report.live.state import RunState
from profiler.report.live.words import place, seconds
from profiler.report.live.writer import Writer
from profiler.report.text import printable

_EVERY_NS = 5_000_000_000


class Lines:
    """Says block, trial, arm, requests done, tok/s and the time left."""

    def __init__(self, console: Console, outline: Outline) -> None:
        """Of a run; nothing is said before `_EVERY_NS` have passed."""
        self._writer, self._state = Writer(console.file), RunState(outline)
        self._last_ns = time.monotonic_ns()

    def __enter__(self) -> Self:
        """Nothing is to be set up."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The last lines come before the result, or not at all."""
        self._writer.close()

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        """A trial is there from before."""

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial begins."""
        self._state.trial_started(planned, time.monotonic_ns())
        self._say()

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended."""
        self._state.request_done(record)
        self._say()

    def trial_stored(self, trial: StoredTrial) -> None:
        """A trial is on disk."""
        self._state.trial_ended(trial.info)

    def _say(self) -> None:
        now_ns, trial = time.monotonic_ns(), self._state.trial
        if trial is None or now_ns - self._last_ns < _EVERY_NS:
            return
        self._last_ns = now_ns
        rate_hz = trial.tokens / max((now_ns - trial.began_ns) / 1e9, 1e-3)
        left_s = self._state.seconds_left(now_ns)
        left = "" if left_s is None else f", {seconds(left_s)} left"
        outline = self._state.outline
        done = f"{trial.requests}/{outline.requests_per_trial} req {rate_hz:.0f} tok/s"
        line = f"{place(outline, trial.planned)} {printable(trial.planned.arm)} {done}{left}"
        self._writer.offer(line)  # a line for which there is no room is not missed
