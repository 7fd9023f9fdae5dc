"""What a guard is, and what it asks for scores."""

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from guards.generation import Delta, GenerationRequest, Generator
from guards.verdict import TextSpan


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

    `queued_ns` <= `started_ns` <= `ended_ns`: asked, work begun, work done.
    """

    p_unsafe: float | None
    queued_ns: int
    started_ns: int
    ended_ns: int
    p_refusal: float | None = None
    categories: tuple[str, ...] = ()
    spans: tuple[TextSpan, ...] = ()


class Scorer(Protocol):
    """Turns text into probabilities. Blocking work happens off the event loop."""

    @property
    def max_match_chars(self) -> int:
        """Longest text that one span can cover; 0 for a scorer that finds no spans."""
        ...

    async def score(self, text: str) -> Score:
        """Judge one text.

        Raises whatever the scorer's backend raises; the guard turns that into a verdict.
        """
        ...


class Skipped(Exception):
    """A scorer was not asked; the message is why."""


def impossible(score: Score) -> str:
    """Which probability of `score` is none, and its value; nothing where all are finite and in [0, 1]."""
    for name, p in (("p_unsafe", score.p_unsafe), ("p_refusal", score.p_refusal)):
        if p is not None and not (math.isfinite(p) and 0.0 <= p <= 1.0):
            return f"{name} is {p}"
    return ""
