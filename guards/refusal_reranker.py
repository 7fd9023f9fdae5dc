"""Refusal reranker: samples up to n candidates and answers with the best.

    best-of-n   |== all n candidates ==|-- judge --|                                  one call of the engine
    sequential  |== candidate 0 ==|-- judge --|== candidate 1 ==|-- judge --| ...     until one passes

Utility of a candidate, with h the prompt's harm probability:

    U = -p_unsafe + h * p_refusal - (1 - h) * lambda * p_refusal

so that refusing is rewarded on a harmful prompt and punished on a harmless one. When every candidate
is over the threshold, the canned refusal answers.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Literal

from guards.candidates import Sampled, sample
from guards.check import Policy, check, record_stages
from guards.choosing import Judged, Round, best, raise_if_none_came, record_wait, settled
from guards.generation import Delta, GenerationRequest, Generator
from guards.guard import Scorer
from guards.input_classifier import REFUSAL, refusal_delta
from guards.trace import Stage
from guards.verdict import Verdict

_UNKNOWN_HARM = 0.5


@dataclass(frozen=True)
class RefusalReranker:
    """Best of n by utility. `scorer` judges answers; `harm` judges the prompt, where candidates are to be compared.

    Sequential mode asks for `step` candidates at a time and stops when one passes: judged, under the threshold
    and, where that is given, of a utility of at least `accept_utility`. With n = 1 this is a filter: the request is
    sampled as it is, and its answer allowed or refused.

    Every candidate that was asked for leaves a verdict under this guard's name, in the candidates' order: that of
    the chosen one is number `trace.chosen_candidate`, from 0, of the request's verdicts by this guard. A candidate
    that the engine did not bring to its end is `skipped`. One whose judge failed under `on_error: open` is shown
    only where none has passed.
    """

    scorer: Scorer
    harm: Scorer
    n: int = 4
    temperature: float = 0.8
    refusal_weight: float = 0.5  # lambda
    policy: Policy = field(default_factory=Policy)
    refusal: str = REFUSAL
    name: str = "rerank"
    mode: Literal["best-of-n", "sequential"] = "best-of-n"
    step: int = 1
    accept_utility: float | None = None

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """Wait for the candidates and their verdicts, release the chosen one whole.

        Raises:
            GenerationError: the engine finished none of the candidates.
        """
        rounds = await self._rounds(request, inner)
        chosen = best([one for found in rounds for one in found.judged])
        record_wait(request.trace, self.name, rounds, chosen)
        if chosen is None:
            raise_if_none_came(rounds)
            yield refusal_delta(request, self.refusal)
            return
        request.trace.chosen_candidate = chosen.candidate.number
        yield chosen.candidate.as_delta()

    @property
    def _at_a_time(self) -> int:
        return self.n if self.mode == "best-of-n" else min(self.step, self.n)

    async def _rounds(self, request: GenerationRequest, inner: Generator) -> list[Round]:
        temperature = self.temperature if self.n > 1 else request.sampling.temperature
        rounds: list[Round] = []
        # The prompt is known at once: judging it overlaps with generation.
        harm = asyncio.create_task(self._harm(request))
        try:
            for first in range(0, self.n, self._at_a_time):
                count = min(self._at_a_time, self.n - first)
                sampled = await sample(request, inner, first, count, temperature)
                rounds.append(await self._judge(request, sampled, harm))
                if any(self._accepts(one) for one in rounds[-1].judged):
                    break
        finally:
            harm.cancel()
            await asyncio.gather(harm, return_exceptions=True)
        return rounds

    async def _harm(self, request: GenerationRequest) -> float:
        """The prompt's p(harm). It steers the choice and blocks nothing: where it is not known, it takes no side."""
        if self._at_a_time == 1 and self.accept_utility is None:
            return _UNKNOWN_HARM  # nothing to compare
        found = await check(self.harm, request.prompt, replace(self.policy, action="flag", on_error="open"))
        if found.score is not None:
            # Beside the generation; what of it is waited for shows as scoring.
            request.trace.span(self.name, Stage.WORK, found.score.started_ns, found.score.ended_ns, critical=False)
        request.trace.judged(f"{self.name}.harm", found.verdict)
        return _UNKNOWN_HARM if found.verdict.p_unsafe is None else found.verdict.p_unsafe

    async def _judge(self, request: GenerationRequest, sampled: Sampled, harm: asyncio.Task[float]) -> Round:
        whole = [one for one in sampled.candidates if one.whole]
        checks = await asyncio.gather(*(check(self.scorer, request.answer(one.text), self.policy) for one in whole))
        verdicts = {one.number: found.verdict for one, found in zip(whole, checks, strict=True)}
        for found in checks:
            record_stages(request.trace, self.name, found.score, critical=False)
        h, judged = await harm, []
        for one in sampled.candidates:
            verdict = settled(one, verdicts.get(one.number))
            request.trace.judged(self.name, verdict)
            judged.append(Judged(one, verdict, utility(verdict, h, self.refusal_weight)))
        return Round(sampled, tuple(judged), request.trace.now_ns())

    def _accepts(self, one: Judged) -> bool:
        return one.passed and (self.accept_utility is None or one.utility >= self.accept_utility)


def utility(verdict: Verdict, h: float, refusal_weight: float) -> float:
    """U of one candidate; what the scorer did not give counts as 0."""
    p_unsafe, p_refusal = verdict.p_unsafe or 0.0, verdict.p_refusal or 0.0
    return -p_unsafe + h * p_refusal - (1.0 - h) * refusal_weight * p_refusal
