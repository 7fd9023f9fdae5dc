"""Live progress: a bar in a terminal, a plain line every few seconds elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from profiler.plan import PlannedTrial
from profiler.records.record import RequestRecord, TrialInfo

_EVERY_S = 5.0


class RunProgress:
    """Shows block, trial, arm, requests done, tok/s and the time left."""

    def __init__(
        self, console: Console, trials_per_block: int, blocks: int | None, requests_per_trial: int, before: int = 0
    ) -> None:
        """Nothing is shown before the context is entered. `blocks` None: as many as it takes.

        `before`: requests that a run which is gone on with had done already.
        """
        self._console, self._blocks, self._requests = console, blocks, requests_per_trial
        self._trials = None if blocks is None else blocks * trials_per_block
        total = None if self._trials is None else self._trials * requests_per_trial
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("warming up", total=total)
        self._live = console.is_terminal
        self._began_s = self._last_line_s = time.monotonic()
        self._before = self._done = before
        self._in_trial = self._tokens = 0
        self._trial_began_s = 0.0
        self._what = "warming up"

    def __enter__(self) -> Self:
        """Start showing."""
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""
        if self._live:
            self._bar.stop()

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial begins."""
        again = " (again)" if planned.replicate else ""
        block, trial = _of(planned.block + 1, self._blocks), _of(planned.index + 1, self._trials)
        self._what = f"block {block} trial {trial} {planned.arm}{again}"
        self._in_trial = self._tokens = 0
        self._trial_began_s = time.monotonic()
        if self._done == self._before:
            self._began_s = self._trial_began_s
        self._show()

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended."""
        self._done += 1
        self._in_trial += 1
        self._tokens += record.output_tokens
        self._show()

    def trial_stored(self, info: TrialInfo) -> None:
        """A trial is on disk."""

    def _show(self) -> None:
        now_s = time.monotonic()
        rate_hz = self._tokens / max(now_s - self._trial_began_s, 1e-3)
        text = f"{self._what} {self._in_trial}/{self._requests} req {rate_hz:.0f} tok/s"
        if self._live:
            self._bar.update(self._task, completed=self._done, description=text)
        elif now_s - self._last_line_s >= _EVERY_S:
            self._last_line_s = now_s
            self._console.print(f"{text}{self._left(now_s)}", highlight=False, markup=False)

    def _left(self, now_s: float) -> str:
        done = self._done - self._before
        if not done or self._trials is None:
            return ""
        total = self._trials * self._requests
        return f", {(now_s - self._began_s) / done * (total - self._done):.0f} s left"


def _of(number: int, total: int | None) -> str:
    return str(number) if total is None else f"{number}/{total}"
