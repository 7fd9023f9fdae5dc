"""Refusal reranker: samples n candidates and answers with the best.

Utility of a candidate, with h the prompt's harm probability:

    U = -p_unsafe + h * p_refusal - (1 - h) * lambda * p_refusal

so that refusing is rewarded on a harmful prompt and punished on a harmless one. When every candidate
is over the threshold, the canned refusal answers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from guards.check import Check, Policy, check, record_stages
from guards.generation import Delta, GenerationRequest, Generator
from guards.guard import Scorer
from guards.input_classifier import REFUSAL, refusal_delta
from guards.trace import Stage
from guards.verdict import Action


@dataclass(slots=True)
class _Candidate:
    """One candidate as it arrived."""

    deltas: list[Delta] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(d.text for d in self.deltas)

    @property
    def last(self) -> Delta:
        return self.deltas[-1]


@dataclass(frozen=True)
class RefusalReranker:
    """Best of n by utility. `scorer` judges answers, `harm` judges the prompt."""

    scorer: Scorer
    harm: Scorer
    n: int = 4
    temperature: float = 0.8
    refusal_weight: float = 0.5  # lambda
    policy: Policy = field(default_factory=Policy)
    refusal: str = REFUSAL
    name: str = "rerank"

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """Wait for all candidates, score them, release the chosen one whole."""
        # The prompt is known at once: judging it overlaps with generation.
        harm = asyncio.create_task(check(self.harm, request.prompt, self.policy))
        try:
            candidates = await self._collect(request, inner)
            start_ns = request.trace.now_ns()
            answers = [request.answer(candidate.text) for candidate in candidates]
            checks = await asyncio.gather(*(check(self.scorer, answer, self.policy) for answer in answers))
            chosen = self._choose(request, checks, await harm)
            end_ns = request.trace.now_ns()
        finally:
            harm.cancel()
            await asyncio.gather(harm, return_exceptions=True)
        request.trace.span(self.name, Stage.SCORING, start_ns, end_ns, critical=True)
        if chosen is None:
            yield refusal_delta(request, self.refusal)
            return
        request.trace.chosen_candidate = chosen
        self._record_wait(request, candidates, chosen)
        yield _whole(candidates[chosen])

    async def _collect(self, request: GenerationRequest, inner: Generator) -> list[_Candidate]:
        sampling = replace(request.sampling, n=self.n, temperature=self.temperature)
        candidates = [_Candidate() for _ in range(self.n)]
        async with aclosing(inner.generate(replace(request, sampling=sampling))) as stream:  # type: ignore[type-var]
            async for delta in stream:
                candidates[delta.index].deltas.append(delta)
        return [c for c in candidates if c.deltas]

    def _choose(self, request: GenerationRequest, checks: list[Check], harm: Check) -> int | None:
        """Index of the best candidate; None when none may be shown."""
        for found in checks:
            record_stages(request.trace, self.name, found.score, critical=False)
            request.trace.judged(self.name, found.verdict)
        record_stages(request.trace, self.name, harm.score, critical=False)
        request.trace.judged(f"{self.name}.harm", harm.verdict)
        h = harm.verdict.p_unsafe if harm.verdict.p_unsafe is not None else 0.5
        allowed = [i for i, found in enumerate(checks) if found.verdict.action is not Action.BLOCK]
        return max(allowed, key=lambda i: utility(checks[i], h, self.refusal_weight), default=None)

    def _record_wait(self, request: GenerationRequest, candidates: list[_Candidate], chosen: int) -> None:
        done_ns = candidates[chosen].last.emitted_ns
        slowest_ns = max(c.last.emitted_ns for c in candidates)
        first_ns = min(c.deltas[0].emitted_ns for c in candidates)
        trace = request.trace
        trace.span(self.name, Stage.HOLD_BACK, first_ns, done_ns, critical=True)
        trace.span(self.name, Stage.CANDIDATES, done_ns, slowest_ns, critical=True)


def utility(found: Check, h: float, refusal_weight: float) -> float:
    """U of one candidate; what the scorer did not give counts as 0."""
    p_unsafe = found.verdict.p_unsafe or 0.0
    p_refusal = found.verdict.p_refusal or 0.0
    return -p_unsafe + h * p_refusal - (1.0 - h) * refusal_weight * p_refusal


def _whole(candidate: _Candidate) -> Delta:
    tokens = sum(d.tokens for d in candidate.deltas)
    return replace(candidate.last, text=candidate.text, tokens=tokens, index=0)
