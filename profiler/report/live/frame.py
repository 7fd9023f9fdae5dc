"""One frame of the view as text of a given size. It is drawn beside the measurement, so it is kept cheap: no tables."""

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from profiler.report.live.notes import notes
from profiler.report.live.rows import rows_of
from profiler.report.live.state import RunState
from profiler.report.live.table import Line, table
from profiler.report.live.words import place, seconds
from profiler.report.text import printable

_BAR = 40


def frame(state: RunState, now_ns: int, width: int, height: int, *, ascii_only: bool = False) -> Text:
    """The run so far in at most `height` lines of at most `width` cells.

    Where there is no room, the notes go first, from the last, then rows; the arm under way and the baseline stay.
    """
    head = _head(state, now_ns, width, ascii_only)
    rows, foot = rows_of(state, now_ns), notes(state, width)
    room = height - len(head)
    foot = foot[: max(0, room - 1 - min(len(rows), 3))]
    found = table(rows, state.outline, width, room - len(foot), ascii_only=ascii_only)
    gap: list[Line] = [("", "")] if len(head) + len(found) + len(foot) + 2 <= height else []
    lines: list[Line] = [*head, *gap, *found, *gap, *((line, "") for line in foot)]
    text = Text(no_wrap=True, overflow="crop", end="")
    for number, (line, style) in enumerate(lines[:height]):
        text.append(("\n" if number else "") + _fitted(_in_ascii(line) if ascii_only else line, width), style)
    return text


def _in_ascii(line: str) -> str:
    return line.replace("±", "+-").encode("ascii", "replace").decode()


def _fitted(line: str, width: int) -> str:
    """At most `width` cells of the line. A word that is cut would be another figure: it goes whole."""
    if cell_len(line) <= width:
        return line
    kept = set_cell_size(line, width)
    return kept if line[len(kept) : len(kept) + 1] == " " else kept[: kept.rfind(" ") + 1].rstrip()


def _head(state: RunState, now_ns: int, width: int, ascii_only: bool) -> list[Line]:
    outline, trial = state.outline, state.trial
    title = printable(f"{outline.name}: {outline.model}")
    if trial is None:
        where = "warming up" if state.finished == outline.before else "between two trials"
        return [(title, "bold"), (where, ""), (_progress(state, now_ns, width, ascii_only), "")]
    again = ", again" if trial.planned.replicate else ""
    failed = f", {trial.failed} failed" if trial.failed else ""
    done = f"{trial.requests}/{outline.requests_per_trial} requests{failed}"
    where = f"{place(outline, trial.planned)}: {printable(trial.planned.arm)}{again}, {done}"
    return [(title, "bold"), (where, ""), (_progress(state, now_ns, width, ascii_only), "")]


def _progress(state: RunState, now_ns: int, width: int, ascii_only: bool) -> str:
    outline, trial, total = state.outline, state.trial, state.expected_trials()
    said = _left(state, now_ns)
    if total is None:
        return said
    share = 0.0 if trial is None else min(1.0, trial.requests / outline.requests_per_trial)
    done = min(1.0, (state.finished + share) / total)
    cells = max(5, min(_BAR, width - cell_len(said) - 8))
    full = round(done * cells)
    bar = "#" * full + "-" * (cells - full) if ascii_only else "━" * full + "╌" * (cells - full)
    return f"{bar} {100 * done:3.0f} %  {said}"


def _left(state: RunState, now_ns: int) -> str:
    """The time left; where `until` decides that is a guess, and the most that it may take is said too."""
    left_s, until = state.seconds_left(now_ns), state.outline.until
    if until is None:
        return "" if left_s is None else f"{seconds(left_s)} left"
    said = "time left not known yet" if left_s is None else f"about {seconds(left_s)} left"
    if state.time.first_ns is None:
        return said
    passed_s = state.earlier_s + (now_ns - state.time.first_ns) / 1e9
    return f"{said}, at most {seconds(max(0.0, 60 * until.max_minutes - passed_s))}"
