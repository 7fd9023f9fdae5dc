"""An arm's row in the view: its figures so far and its cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from profiler.analysis.standing import Standing
from profiler.report.live.state import ArmState, RunState
from profiler.report.text import printable
from profiler.scenario import BASELINE

Cell = float | None


@dataclass(frozen=True)
class Row:
    """`tokens_per_s` and `ttft_ms` (mean) of the trial under way, else of all the arm's trials; None before any."""

    arm: str
    name: str
    running: bool
    tokens_per_s: float | None
    ttft_ms: float | None
    rate_cells: Sequence[Cell]
    ttft_cells: Sequence[Cell]
    standing: Standing | None
    widths: Sequence[float]


def rows_of(state: RunState, now_ns: int) -> list[Row]:
    """A row an arm, in the order of the plan, the baseline first."""
    trial = state.trial
    running = None if trial is None else trial.planned.arm
    return [_row(state, arm, found, now_ns, arm == running) for arm, found in list(state.arms.items())]


def _row(state: RunState, arm: str, found: ArmState, now_ns: int, running: bool) -> Row:
    trial = state.trial
    cells, seconds, tokens, ttft_ms, answered = found.cells, found.seconds, found.tokens, found.ttft_ms, found.answered
    if running and trial is not None:
        cells = cells.then(trial.cells.settled(now_ns))
        if trial.requests:
            seconds, tokens = (now_ns - trial.began_ns) / 1e9, trial.tokens
            ttft_ms, answered = trial.ttft_ms, trial.answered
    return Row(
        arm,
        printable(arm),
        running,
        tokens / seconds if seconds > 0 else None,
        ttft_ms / answered if answered else None,
        cells.tokens_per_s,
        cells.ttft_ms,
        found.standing,
        list(found.widths),
    )


def fitting(rows: Sequence[Row], lines: int) -> tuple[list[Row], int]:
    """The rows that fit, and how many do not: the arm under way and the baseline always do, then by the plan.

    Of those that do not fit, one line tells.
    """
    if len(rows) <= lines:
        return list(rows), 0
    first = [row for row in rows if row.running or row.arm == BASELINE]
    room = max(0, lines - 1 - len(first))
    others = [row for row in rows if row not in first][:room]
    kept = [row for row in rows if row in first or row in others]
    return kept, len(rows) - len(kept)
