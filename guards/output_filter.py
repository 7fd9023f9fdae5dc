"""Output filter: judges the text while it streams.

    chunk_tokens    how much new text makes a check due: tokens; 1: every token; "whole": once, at the end
    context_tokens  how much of the text before it a scorer of windows is shown again
    release         "after"   text waits for its verdict: nothing unsafe gets out, the user waits
                    "first"   text goes out at once; a bad verdict stops what follows

A scorer that finds spans in a stream (`guards.spans`) reads each character once, so where chunks fall changes
nothing: a block delivers exactly the text before the first span, a redaction replaces each span and lets no
character of it out, even where it lies across chunks. Any other scorer is shown a bounded window, so its cost per
token does not grow with the answer; where it finds spans, text shorter than its longest one is kept back.

Neighbouring filters of a stack judge the engine's text together, each at its own pace: see `guards.joint`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

from guards.check import Policy
from guards.generation import Delta, GenerationRequest, Generator
from guards.guard import Scorer
from guards.joint import filtered
from guards.lane import CUT
from guards.outlet import REDACTED


@dataclass(frozen=True)
class OutputFilter:
    """Stops, redacts or marks an answer whose text is judged unsafe; judged whole, it may be rewritten."""

    scorer: Scorer
    policy: Policy = field(default_factory=Policy)
    chunk_tokens: int | Literal["whole"] = 16
    context_tokens: int = 48
    release: Literal["first", "after"] = "after"
    name: str = "output"

    def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """Stream the answer, chunk by chunk."""
        return filtered((self,), request, inner)


__all__ = ["CUT", "REDACTED", "OutputFilter"]
