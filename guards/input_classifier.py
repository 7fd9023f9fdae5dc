"""Input classifier: judges the prompt before, beside or after the start of generation.

blocking     |-- check --|-- generate ------------>|      the user waits for the check
speculative  |-- check --|                                 generation starts at once; nothing is
|-- generate ------------------------>|      released before the verdict
monitor      |-- generate ------------------------>|      the verdict is recorded, nothing waits

A verdict may also change the prompt (rewrite, redact). Under speculative gating that starts generation again:
the first call is aborted, and the user has waited for the check in full.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from guards.check import Check, Policy, check, record_stages
from guards.generation import Delta, GenerationRequest, Generator
from guards.guard import Scorer
from guards.prompt_edits import passed_on
from guards.pump import Pump
from guards.trace import Stage
from guards.verdict import Action, Status, Verdict

REFUSAL = "I can't help with that."


@dataclass(frozen=True)
class InputClassifier:
    """Blocks a prompt whose p(unsafe) reaches the threshold, with a canned refusal, or does what its policy says."""

    scorer: Scorer
    policy: Policy = field(default_factory=Policy)
    gating: Literal["blocking", "speculative", "monitor"] = "blocking"
    refusal: str = REFUSAL
    name: str = "input"

    def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """Answer under the configured gating."""
        if self.gating == "blocking":
            return self._blocking(request, inner)
        if self.gating == "speculative":
            return self._speculative(request, inner)
        return self._monitor(request, inner)

    async def _blocking(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        found = await self._check(request)
        record_stages(request.trace, self.name, found.score, critical=True)
        asked = passed_on(request, found)
        if asked is None:
            yield refusal_delta(request, self.refusal)
            return
        async with aclosing(inner.generate(asked)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                yield delta

    async def _speculative(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        async with Pump(inner.generate(request)) as stream:
            found = await self._check(request)
            asked, verdict_ns = passed_on(request, found), request.trace.now_ns()
            again = asked is not None and asked is not request
            record_stages(request.trace, self.name, found.score, critical=again)
            if asked is None:
                yield refusal_delta(request, self.refusal)
                return
            if not again:
                first = True
                async for delta in stream:
                    if first and delta.emitted_ns < verdict_ns:
                        # Only what the verdict kept back was waited for.
                        trace = request.trace
                        trace.span(self.name, Stage.HOLD_BACK, delta.emitted_ns, verdict_ns, critical=True)
                    first = False
                    yield delta
                return
        # Generation from the prompt as it came is aborted by now.
        async with aclosing(inner.generate(asked)) as restarted:  # type: ignore[type-var]
            async for delta in restarted:
                yield delta

    async def _monitor(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        watching = asyncio.create_task(self._watch(request))
        try:
            async with aclosing(inner.generate(request)) as stream:  # type: ignore[type-var]
                async for delta in stream:
                    yield delta
        finally:
            if not watching.done():
                # Nobody waits for a monitor: a check slower than the answer is given up, and said to be.
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                late = Verdict(Action.ALLOW, status=Status.SKIPPED, detail="the answer ended before the check")
                request.trace.judged(self.name, late)

    async def _watch(self, request: GenerationRequest) -> None:
        # A monitor blocks nothing, and its record must not say that it did.
        found = await check(self.scorer, request.prompt, replace(self.policy, action="flag", on_error="open"))
        record_stages(request.trace, self.name, found.score, critical=False)
        verdict = found.verdict
        if verdict.action in (Action.REWRITE, Action.REDACT):
            # Nothing was changed, and the record must not say so.
            verdict = replace(verdict, action=Action.FLAG)
        request.trace.judged(self.name, verdict)

    async def _check(self, request: GenerationRequest) -> Check:
        found = await check(self.scorer, request.prompt, self.policy)
        request.trace.judged(self.name, found.verdict)
        return found


def refusal_delta(request: GenerationRequest, text: str) -> Delta:
    """The whole canned answer as one delta; it cost the engine no token."""
    return Delta(text, 0, request.trace.now_ns(), finish_reason="blocked")
