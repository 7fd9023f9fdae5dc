"""Callable scorer: a function of the user's, sync (in threads of its own) or async (on the event loop)."""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from numbers import Real
from typing import Any

from guards.guard import Score
from guards.scorers.threads import DaemonThreads
from guards.subject import Subject
from guards.verdict import Action, TextSpan

_KEYS = frozenset({"p_unsafe", "p_refusal", "categories", "spans", "action", "rewritten", "detail"})
_CONTEXT = frozenset({"conversation", "side"})


class NotAScore(TypeError):
    """The user's function returned something that is no score; the message says what."""


@dataclass(frozen=True)
class CallableScorer:
    """p(unsafe) from `function(text)`: a float, or a mapping of what `Score` holds.

    A parameter after the first that is named `conversation` gets the turns, a list of {"role", "content"}, the
    judged one last; one named `side` gets "prompt" or "answer". Both are passed by keyword.

    Keys of the mapping: `p_unsafe` (may be left out where `action` is given), `p_refusal`, `categories`; `spans`,
    each (start, end) or (start, end, category) in characters of the text; `action`, one of allow, block, redact,
    rewrite and flag, which goes before the guard's threshold; `rewritten`, the text to put in the judged one's
    place; `detail`, what a reader of the verdict should know.

    A sync function runs in `threads` threads of the scorer's own; one that outlives its timeout keeps its thread
    until it returns. `max_match_chars` is the longest span that it can find, which an output filter that redacts
    must know.
    """

    function: Callable[..., Any]
    threads: DaemonThreads = field(default_factory=DaemonThreads)
    max_match_chars: int = 0
    now_ns: Callable[[], int] = field(default=time.monotonic_ns)

    async def score(self, subject: Subject) -> Score:
        """Judge the subject's text.

        Raises:
            NotAScore: the function returned something else.
            Exception: whatever the function raises.
        """
        ask, queued_ns = partial(self.function, subject.text, **self._context(subject)), self.now_ns()
        if _is_async(self.function):
            found, started_ns = ask(), queued_ns
        else:
            found, started_ns, ended_ns = await self.threads.run(lambda: self._timed(ask))
        if inspect.isawaitable(found):
            found, ended_ns = await found, self.now_ns()
        return _score(found, queued_ns, started_ns, ended_ns)

    def _timed(self, ask: Callable[[], Any]) -> tuple[Any, int, int]:
        started_ns = self.now_ns()
        return ask(), started_ns, self.now_ns()

    def _context(self, subject: Subject) -> dict[str, Any]:
        """What the function asks for beside the text."""
        context: dict[str, Any] = {}
        if "conversation" in self._asked_for:
            context["conversation"] = [{"role": turn.role, "content": turn.content} for turn in subject.turns]
        if "side" in self._asked_for:
            context["side"] = subject.side
        return context

    @cached_property
    def _asked_for(self) -> frozenset[str]:
        try:
            parameters = list(inspect.signature(self.function).parameters.values())[1:]
        except ValueError:
            return frozenset()  # a built-in function that does not say
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return _CONTEXT & {parameter.name for parameter in parameters if parameter.kind in named}


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _score(found: Any, queued_ns: int, started_ns: int, ended_ns: int) -> Score:
    if not isinstance(found, Mapping):
        return Score(_number("the result", found), queued_ns, started_ns, ended_ns)
    if unknown := sorted(str(key) for key in found if key not in _KEYS):
        raise NotAScore(f"unknown key {unknown[0]}: there are {', '.join(sorted(_KEYS))}")
    p_unsafe, advice = found.get("p_unsafe"), _advice(found.get("action"))
    if p_unsafe is None and advice is None:
        raise NotAScore("p_unsafe is missing")
    p_refusal = found.get("p_refusal")
    return Score(
        None if p_unsafe is None else _number("p_unsafe", p_unsafe),
        queued_ns,
        started_ns,
        ended_ns,
        None if p_refusal is None else _number("p_refusal", p_refusal),
        _categories(found.get("categories", ())),
        tuple(_span(span) for span in _several("spans", found.get("spans", ()))),
        advice=advice,
        rewritten=_text("rewritten", found.get("rewritten")),
        detail=_text("detail", found.get("detail")) or "",
    )


def _advice(found: Any) -> Action | None:
    if found is None:
        return None
    if not isinstance(found, str) or found not in tuple(Action):
        raise NotAScore(f"action is {_shown(found)}, not one of {', '.join(Action)}")
    return Action(found)


def _text(what: str, found: Any) -> str | None:
    if found is not None and not isinstance(found, str):
        raise NotAScore(f"{what} is {_shown(found)}, not a text")
    return found


def _number(what: str, found: Any) -> float:
    # True is a number to Python, and a sign to us that the function answers another question.
    if isinstance(found, bool) or not isinstance(found, Real):
        raise NotAScore(f"{what} is {_shown(found)}, not a number from 0 to 1")
    return float(found)  # NaN and the like: the check says so of any scorer


def _categories(found: Any) -> tuple[str, ...]:
    categories = _several("categories", found)
    if not all(isinstance(category, str) for category in categories):
        raise NotAScore(f"categories are {_shown(found)}, not texts")
    return tuple(categories)


def _span(found: Any) -> TextSpan:
    if isinstance(found, TextSpan):
        return found
    parts = _several("a span", found)
    whole = all(isinstance(part, int) and not isinstance(part, bool) for part in parts[:2])
    if len(parts) not in (2, 3) or not whole or not 0 <= parts[0] <= parts[1]:
        raise NotAScore(f"a span is {_shown(found)}, not (start, end) or (start, end, category)")
    return TextSpan(parts[0], parts[1], str(parts[2]) if len(parts) == 3 else "")


def _several(what: str, found: Any) -> Sequence[Any]:
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        raise NotAScore(f"{what}: {_shown(found)} is not a list")
    return found


def _shown(found: Any) -> str:
    return f"{type(found).__name__} {found!r}"[:80]
