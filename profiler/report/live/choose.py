"""Which observer a console gets."""

from contextlib import AbstractContextManager

from rich.console import Console

from profiler.experiment import Observer
from profiler.report.live.event_console import EventConsole
from profiler.report.live.events import Events
from profiler.report.live.lines import Lines
from profiler.report.live.outline import Outline
from profiler.report.live.silent import Silent
from profiler.report.live.view import View


def observer(console: Console, outline: Outline) -> AbstractContextManager[Observer]:
    """Events for a program, nothing where the console is quiet, a view in a terminal, lines in a pipe."""
    if isinstance(console, EventConsole):
        return Events(console, outline)
    if console.quiet:
        return Silent()
    return View(console, outline) if console.is_terminal and not console.is_dumb_terminal else Lines(console, outline)
