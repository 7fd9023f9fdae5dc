"""Output filter: judges the text while it streams.

Every `chunk_tokens` new tokens, the window (the last `context_tokens` before them, and they) is judged.

    release "after"   a chunk waits for its verdict: nothing unsafe gets out, the user waits
    release "first"   a chunk goes out at once; a bad verdict stops what follows

The window is bounded, so the cost per token does not grow with the text already written. Redaction
needs "after": a span is replaced before it leaves. Text shorter than the scorer's longest match is kept
back until more has been seen, so that no span leaks across a chunk's border.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Literal

from guards.check import Policy, check, record_stages
from guards.generation import Delta, GenerationRequest, Generator
from guards.guard import Scorer
from guards.prompt_edits import REDACTED
from guards.pump import Pump
from guards.trace import Stage
from guards.verdict import Action, TextSpan, Verdict
from guards.window import Window

CUT = " [stopped by the output filter]"


@dataclass(frozen=True)
class OutputFilter:
    """Stops, or redacts, an answer whose text is judged unsafe."""

    scorer: Scorer
    policy: Policy = field(default_factory=Policy)
    chunk_tokens: int = 16
    context_tokens: int = 48
    release: Literal["first", "after"] = "after"
    name: str = "output"

    def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """Stream the answer, chunk by chunk."""
        return self._hold(request, inner) if self.release == "after" else self._follow(request, inner)

    async def _hold(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        window = Window(self.context_tokens, self.scorer.max_match_chars)
        async with Pump(inner.generate(request)) as stream:
            async for delta in stream:
                window.add(delta)
                if window.new_tokens < self.chunk_tokens and delta.finish_reason is None:
                    continue
                verdict = await self._judge(request, window.text, critical=True)
                if verdict.action is Action.BLOCK:
                    yield self._cut(request)
                    return
                spans = verdict.spans if verdict.action is Action.REDACT else ()
                released = window.release(spans, REDACTED, final=delta.finish_reason is not None)
                if released is None:
                    continue
                now_ns = request.trace.now_ns()
                request.trace.span(self.name, Stage.HOLD_BACK, window.oldest_ns, now_ns, critical=True)
                yield released

    async def _follow(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        window = Window(self.context_tokens, 0)
        async with Pump(inner.generate(request)) as stream:
            async for delta in stream:
                window.add(delta)
                due = window.new_tokens >= self.chunk_tokens or delta.finish_reason is not None
                last = delta.finish_reason is not None
                yield replace(delta, finish_reason=None) if last else delta
                if due:
                    verdict = await self._judge(request, window.text, critical=not last)
                    if verdict.action is Action.BLOCK:
                        yield self._cut(request)
                        return
                    window.release((), REDACTED, final=True)
                if last:
                    yield replace(delta, text="", tokens=0)

    async def _judge(self, request: GenerationRequest, text: str, *, critical: bool) -> Verdict:
        found = await check(self.scorer, request.answer(text), self.policy)
        record_stages(request.trace, self.name, found.score, critical=critical)
        request.trace.judged(self.name, found.verdict)
        return found.verdict

    def _cut(self, request: GenerationRequest) -> Delta:
        return Delta(CUT, 0, request.trace.now_ns(), finish_reason="cut")


__all__ = ["CUT", "REDACTED", "OutputFilter", "TextSpan"]
