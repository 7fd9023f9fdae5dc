"""Who reads what a run says can neither end the run nor hold it up."""

import io
import json
import os
import threading
from pathlib import Path

from rich.console import Console

from profiler.commands.talk import Talk
from profiler.plan import PlannedTrial
from profiler.records.store import read_run
from profiler.report.live.event_console import EventConsole
from profiler.report.live.events import Events
from profiler.report.live.lines import Lines
from profiler.report.live.writer import Writer
from tests.report.live.test_observers import run_with
from tests.report.live.test_state import outline


def left_pipe() -> io.TextIOWrapper:
    """A pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    return io.TextIOWrapper(io.FileIO(writer, "w"), encoding="ascii", write_through=True)


def test_a_reader_of_events_that_leaves_ends_no_run(tmp_path: Path) -> None:
    assert read_run(run_with(EventConsole(left_pipe()), tmp_path)).complete


def test_a_reader_of_lines_that_leaves_ends_no_run(tmp_path: Path) -> None:
    console = Talk(file=left_pipe(), force_terminal=False)
    console.print("a note")
    console.print("another")
    with Lines(console, outline()) as lines:
        lines._last_ns = -(10**12)
        lines.trial_started(PlannedTrial(1, 0, "é", 0))
    assert read_run(run_with(console, tmp_path)).complete


class Unread(io.StringIO):
    """Nobody reads until `reads` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()

    def write(self, text: str) -> int:
        self.reads.wait()
        return super().write(text)


def test_nobody_waits_for_a_reader_and_events_that_are_left_out_are_counted() -> None:
    stream = Unread()
    console = EventConsole(stream)
    stream.reads.set()
    with Events(console, outline()):
        stream.reads.clear()
        for index in range(300):
            console.emit("note", text=str(index))
        stream.reads.set()
    console.emit("run_finished")
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    notes = [event for event in events if event["event"] == "note"]
    assert [event["text"] for event in notes] == [str(index) for index in range(len(notes))]
    assert len(notes) < 300
    assert events[-1]["event"] == "run_finished" and events[-1]["dropped"] == 300 - len(notes)


def test_lines_that_nobody_reads_are_given_up() -> None:
    stream = Unread()
    writer = Writer(stream, room=2)
    assert [writer.offer("a"), writer.offer("b"), writer.offer("c")] == [True, True, False]
    writer.close(0.01)
    stream.reads.set()
    writer.write("never")
    assert stream.getvalue() == "a\n"


def test_a_line_in_ascii_has_no_letter_that_it_cannot_have() -> None:
    raw = io.BytesIO()
    with Lines(Console(file=io.TextIOWrapper(raw, encoding="ascii")), outline()) as lines:
        lines._last_ns = -(10**12)
        lines.trial_started(PlannedTrial(1, 0, "é", 0))
    assert b" ? 0/10 req" in raw.getvalue()
