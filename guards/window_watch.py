"""An output filter whose scorer is shown a bounded window of text, one check at a time."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from guards.check import Check, check, record_stages
from guards.generation import GenerationRequest
from guards.standing import Cut, FilterSettings, Standing, chunk_limit
from guards.verdict import Action, Status, TextSpan, Verdict
from guards.window import Window


class WindowWatch:
    """See `guards.standing.Watch`. Chunks end where their tokens are full, however slow the checks are.

    `woken` is called when a check has ended. `alone`: no other filter judges this text, so it may be rewritten.
    """

    def __init__(
        self, settings: FilterSettings, request: GenerationRequest, woken: Callable[[Any], object], *, alone: bool
    ) -> None:
        """Nothing read yet."""
        self.filter, self.standing = settings, Standing()
        self._request, self._woken = request, woken
        self._window, self._limit = Window(settings.context_tokens), chunk_limit(settings)
        self._keep = settings.scorer.max_match_chars if settings.release == "after" else 0
        self._rewrites = alone and settings.chunk_tokens == "whole" and settings.release == "after"
        self._waiting: deque[tuple[str, int, bool]] = deque()
        self._new = self._checked = 0  # tokens since the last check; checks so far
        self._final, self._hurried = False, False
        self._check: asyncio.Task[Check] | None = None

    def add(self, text: str, tokens: int, *, final: bool) -> bool:
        """More text; a check begins where one is due and none is under way."""
        self._waiting.append((text, tokens, final))
        self._go_on()
        return final

    def hurry(self) -> None:
        """Judge what there is."""
        if not self._hurried:
            self._hurried = True
            self._go_on()

    def collect(self) -> None:
        """Take in the verdict of a check that has ended, and begin the next."""
        if self._check is not None and self._check.done():
            found, self._check = self._check.result(), None
            self._take(found)
            self._go_on()

    async def close(self) -> None:
        """Give up the check that is under way."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.gather(self._check, return_exceptions=True)

    def _go_on(self) -> None:
        if self._check is not None or self.standing.cut is not None or not self._due():
            return
        if self._final and self._checked and self.standing.passed == self._window.end:
            self.standing.done = True  # the end brought no text
            return
        subject = self._request.answer(self._window.text)
        self._check = asyncio.create_task(check(self.filter.scorer, subject, self.filter.policy))
        self._check.add_done_callback(self._woken)

    def _due(self) -> bool:
        """Fill the chunk; whether it is to be judged."""
        while self._waiting:
            text, tokens, final = self._waiting.popleft()
            self._window.add(text, tokens)
            self._new += tokens
            self._final = final
            if final or self._new >= self._limit:
                return True
        return self._hurried and self._new > 0

    def _take(self, found: Check) -> None:
        self._checked += 1
        self._new = 0
        verdict, settings, standing = self._placed(found.verdict), self.filter, self.standing
        critical = settings.release == "after" or self._final
        record_stages(self._request.trace, settings.name, found.score, critical=critical)
        self._request.trace.judged(settings.name, verdict)
        standing.done = self._final
        if verdict.action is Action.BLOCK:
            standing.cut = self._cut(verdict)
            standing.passed = standing.cut.at
            return
        if verdict.action is Action.REWRITE and found.score is not None:
            standing.rewritten = found.score.rewritten
        self._pass(verdict.spans if verdict.action is Action.REDACT else ())

    def _placed(self, verdict: Verdict) -> Verdict:
        """Spans as offsets in the answer; what cannot be done to text on its way out becomes a block."""
        start, action = self._window.start, verdict.action
        if (action is Action.REWRITE and not self._rewrites) or (
            action is Action.REDACT and self.filter.release == "first"
        ):
            action = Action.BLOCK
        spans = tuple(TextSpan(span.start + start, span.end + start, span.category) for span in verdict.spans)
        return replace(verdict, action=action, spans=spans)

    def _cut(self, verdict: Verdict) -> Cut:
        passed = self.standing.passed
        first = min((span.start for span in verdict.spans), default=passed)
        return Cut(max(passed, first), first if verdict.status is Status.OK else None)

    def _pass(self, redact: tuple[TextSpan, ...]) -> None:
        """Let text go, but for what a span may still grow into."""
        end, standing = self._window.end, self.standing
        passed = end if self._final else max(standing.passed, end - self._keep)
        if not self._final:
            passed = min([passed, *(max(s.start, standing.passed) for s in redact if s.end >= end)])
        standing.redact += [span for span in redact if span.start < passed]
        standing.passed = passed
        self._window.passed(passed)
        standing.floor = self._window.start
