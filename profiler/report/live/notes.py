"""What stands under the table: verdicts by guard, memory and power of the arm, and what is not measured, once."""

import textwrap
from collections.abc import Iterable

from profiler.report.live.state import ArmState, RunState
from profiler.report.resources import absence_word
from profiler.report.text import printable
from profiler.scenario import BASELINE

_TITLE = 8
_LINES = 2


def notes(state: RunState, width: int) -> list[str]:
    """Lines of at most `width` cells, what matters most first."""
    found = [("verdicts", _verdicts(state)), ("memory", _memory(state)), ("power", _power(state))]
    absent = [f"{absence_word(name)} ({why})" for name, why in state.outline.not_measured.items()]
    lines = [line for title, text in found if text for line in _wrapped(title, text, width)]
    return lines + (_wrapped("", f"not measured: {printable('; '.join(absent))}", width) if absent else [])


def _wrapped(title: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, _TITLE + 12),
        initial_indent=f"{title:<{_TITLE + 1}}" if title else "",
        subsequent_indent=" " * (_TITLE + 1) if title else "",
        max_lines=_LINES,
        placeholder=" ...",
    )


def _verdicts(state: RunState) -> str:
    guards: dict[str, list[str]] = {}
    for (guard, said), count in sorted(dict(state.verdicts).items()):
        guards.setdefault(printable(guard), []).append(f"{count} {said}")
    since = " (since the run was gone on with)" if guards and state.outline.before else ""
    return "; ".join(f"{guard} {', '.join(said)}" for guard, said in guards.items()) + since


def _memory(state: RunState) -> str:
    found = [(name, arm.memory_mib) for name, arm in _beside(state) if arm.memory_mib is not None]
    return ", ".join(f"{name} {mib:.0f} MiB" for name, mib in found)


def _power(state: RunState) -> str:
    found = [(name, arm.watts) for name, arm in _beside(state) if arm.watts]
    return ", ".join(
        f"{name} " + " + ".join(f"{w:.0f} W {part.upper()}" for part, w in mine.items()) for name, mine in found
    )


def _beside(state: RunState) -> Iterable[tuple[str, ArmState]]:
    """The arm under way as its last trial left it, and the baseline."""
    names = [BASELINE] if state.trial is None else list(dict.fromkeys([state.trial.planned.arm, BASELINE]))
    return [(printable(name), state.arms[name]) for name in names if name in state.arms]
