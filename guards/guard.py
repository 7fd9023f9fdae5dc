"""What a guard is, and what it asks for scores."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from guards.generation import Delta, GenerationRequest, Generator
from guards.subject import Subject
from guards.verdict import Action, TextSpan


class Guard(Protocol):
    """One safety layer wrapped round a generator."""

    @property
    def name(self) -> str:
        """The name under which spans and verdicts are recorded."""
        ...

    def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """Answer `request` with the help of `inner`, guarded. Closing the stream closes `inner`'s."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer found in one text, and when it waited and worked (monotonic ns).

    `queued_ns` <= `started_ns` <= `first_ns` <= `ended_ns`: asked, work begun, first token of a written verdict
    (0 where none is written), work done. `before` holds the scores of scorers that were asked first and whose
    answers this one replaces: their time is the check's, too. `advice` is the action that the scorer itself asks
    for, None where its probability decides; `rewritten` the text that it would put in the judged one's place.
    `detail` says what a reader of the verdict should know, such as which scorer of several has spoken.
    """

    p_unsafe: float | None
    queued_ns: int
    started_ns: int
    ended_ns: int
    p_refusal: float | None = None
    categories: tuple[str, ...] = ()
    spans: tuple[TextSpan, ...] = ()
    first_ns: int = 0
    advice: Action | None = None
    rewritten: str | None = None
    detail: str = ""
    before: tuple["Score", ...] = ()


class Scorer(Protocol):
    """Turns a text, or a conversation, into probabilities. Blocking work happens off the event loop."""

    @property
    def max_match_chars(self) -> int:
        """Longest text that one span can cover; 0 for a scorer that finds no spans."""
        ...

    async def score(self, subject: Subject) -> Score:
        """Judge one subject.

        Raises whatever the scorer's backend raises; the guard turns that into a verdict.
        """
        ...


class Skipped(Exception):
    """A scorer was not asked; the message is why."""


def impossible(score: Score) -> str:
    """Which probability of `score` is none, and its value; nothing where all are finite and in [0, 1]."""
    for name, p in (("p_unsafe", score.p_unsafe), ("p_refusal", score.p_refusal)):
        if p is not None and not 0.0 <= p <= 1.0:
            return f"{name} is {p}"
    return ""
