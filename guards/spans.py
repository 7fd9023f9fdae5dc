"""Scorers that find spans in a stream, exactly those that they find in the whole text."""

from typing import Protocol, cast

from guards.breaker import Breaker
from guards.guard import Scorer
from guards.verdict import TextSpan


class SpanStream(Protocol):
    """One text, as it comes."""

    @property
    def settled(self) -> int:
        """Every span that begins before this offset has been given out; what comes can begin none there."""
        ...

    def feed(self, text: str, *, final: bool) -> tuple[TextSpan, ...]:
        """Read on, and give out what has become certain: spans in order, offsets in the whole text.

        `final`: nothing comes after. Whatever the pieces, the spans are those of the whole text.
        """
        ...


class SpanScorer(Protocol):
    """A scorer whose spans can be found as the text comes, on the event loop and in microseconds."""

    def stream(self) -> SpanStream:
        """Begin a text."""
        ...


def span_scorer(scorer: Scorer) -> SpanScorer | None:
    """The streaming face of `scorer`, if it has one. A breaker has nothing to do there: nothing hangs, nothing dies."""
    asked = scorer.scorer if isinstance(scorer, Breaker) else scorer
    return cast(SpanScorer, asked) if callable(getattr(asked, "stream", None)) else None
