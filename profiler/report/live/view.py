"""The view in a terminal: drawn by a thread of its own, twice a second, off the event loop."""

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from profiler.plan import PlannedTrial
from profiler.records.record import RequestRecord
from profiler.records.store import StoredTrial, TrialFile
from profiler.report.live.frame import frame
from profiler.report.live.outline import Outline
from profiler.report.live.state import RunState

REFRESH_HZ = 2.0
"""A frame takes about a millisecond of the interpreter, for which the event loop may have to wait: so not often."""


class View:
    """Shows a run while it is under way, and leaves nothing behind: the result comes after it."""

    def __init__(self, console: Console, outline: Outline) -> None:
        """Nothing is shown before the context is entered."""
        self._console, self._state = console, RunState(outline)
        self._live = Live(console=console, get_renderable=self.draw, refresh_per_second=REFRESH_HZ, transient=True)

    def draw(self) -> Text:
        """The frame of now."""
        width, height = self._console.size
        ascii_only = self._console.options.ascii_only
        try:
            return frame(self._state, time.monotonic_ns(), width, height - 1, ascii_only=ascii_only)
        except Exception as error:  # noqa: BLE001 - a bug, and it is seen; the result is worth more than its view
            return Text(ascii(error))

    def __enter__(self) -> Self:
        """Start showing."""
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and give the terminal back as it was; one that has gone meanwhile takes no result with it."""
        with suppress(OSError, ValueError):
            self._live.stop()

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        """A trial is there from before."""
        self._state.trial_found(source)

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial begins."""
        self._state.trial_started(planned, time.monotonic_ns())

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended."""
        self._state.request_done(record)

    def trial_stored(self, trial: StoredTrial) -> None:
        """A trial is on disk."""
        self._state.trial_ended(trial.info)
        self._state.learn(trial)
