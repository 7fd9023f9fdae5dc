"""What a user sees while a run is under way."""

import io

from rich.console import Console

from profiler.plan import PlannedTrial
from profiler.records.record import Outcome, RequestRecord
from profiler.report.progress import RunProgress

RECORD = RequestRecord(0, "p", "benign", "c", 0, 0, 1, 2, 24, "stop", Outcome.PASSED, "", (1,), (24,))


def shown(*, terminal: bool) -> str:
    console = Console(width=80, force_terminal=terminal, file=io.StringIO(), color_system=None)
    with RunProgress(console, trials_per_block=6, blocks=5, requests_per_trial=8) as progress:
        progress.trial_started(PlannedTrial(12, 3, "rerank", 0))
        for _ in range(5):
            progress.request_done(RECORD)
        progress._bar.refresh()
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_terminal_of_80_columns_shows_block_trial_arm_and_requests_on_one_line() -> None:
    assert "block 4/5 trial 13/30 rerank 5/8 req" in shown(terminal=True)


def test_a_run_without_a_known_end_shows_how_far_it_is() -> None:
    console = Console(width=80, force_terminal=False, file=io.StringIO())
    with RunProgress(console, trials_per_block=6, blocks=None, requests_per_trial=8) as progress:
        progress._last_line_s = -100.0
        progress.trial_started(PlannedTrial(12, 2, "rerank", 0))
    file = console.file
    assert isinstance(file, io.StringIO)
    assert "block 3 trial 13 rerank" in file.getvalue()


def test_a_pipe_gets_no_control_sequences() -> None:
    assert "\x1b" not in shown(terminal=False)
