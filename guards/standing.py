"""What one output filter has made of an answer so far. Offsets are characters of the engine's text."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from guards.check import Policy
from guards.guard import Scorer
from guards.verdict import TextSpan


class FilterSettings(Protocol):
    """How an output filter is set: see `guards.output_filter.OutputFilter`."""

    @property
    def name(self) -> str:
        """The name under which spans and verdicts are recorded."""
        ...

    @property
    def scorer(self) -> Scorer:
        """Who judges."""
        ...

    @property
    def policy(self) -> Policy:
        """What becomes of a score."""
        ...

    @property
    def chunk_tokens(self) -> int | Literal["whole"]:
        """How much new text makes a check due."""
        ...

    @property
    def context_tokens(self) -> int:
        """How much of what was passed a window shows again."""
        ...

    @property
    def release(self) -> Literal["first", "after"]:
        """Whether text waits for its verdict."""
        ...


@dataclass(frozen=True, slots=True)
class Cut:
    """An end: text before `at` may go out. `unsafe_from`: where the unsafe begins; None where a check failed."""

    at: int
    unsafe_from: int | None


@dataclass(slots=True)
class Standing:
    """Text before `passed` may go out, `redact` (all that begin before it) replaced; `done`: all was judged.

    No verdict to come points to anything before `floor`. `rewritten` takes the place of the whole answer.
    """

    passed: int = 0
    floor: int = 0
    redact: list[TextSpan] = field(default_factory=list)
    cut: Cut | None = None
    rewritten: str | None = None
    done: bool = False

    def take_redactions(self) -> list[TextSpan]:
        """The spans found since the last time."""
        taken, self.redact = self.redact, []
        return taken


class Watch(Protocol):
    """One output filter at work on one answer."""

    filter: FilterSettings
    standing: Standing

    def add(self, text: str, tokens: int, *, final: bool) -> bool:
        """The engine has written more; `final`: and has ended. Whether the standing may have changed."""
        ...

    def hurry(self) -> None:
        """Judge what there is, and from now on whatever comes: another filter waits for this one to cut."""
        ...

    def collect(self) -> None:
        """Take in the verdict of a check that has ended."""
        ...

    async def close(self) -> None:
        """Give up what is under way."""
        ...


def chunk_limit(settings: FilterSettings) -> float:
    """Tokens that make a check due."""
    return float("inf") if settings.chunk_tokens == "whole" else settings.chunk_tokens
