"""Judge: a generative guard model, whose verdict is read from its text or from its label token's probability."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guards.families import from_logprobs, parse
from guards.guard import Score
from guards.scorers.asking import Asking
from guards.scorers.guard_model import GuardModelError, Times, WritingModel
from guards.subject import Subject
from guards.verdict import Status, Verdict


@dataclass(frozen=True)
class TextJudge:
    """The verdict that the model writes, at most `max_tokens` long.

    p(unsafe) is what the family's label stands for: 0 or 1, 0.5 for Qwen3Guard's Controversial, so that the guard's
    threshold decides of it. A prompt that does not fit, and a text that does not parse, are errors, never "safe". So
    is one that was cut before the family's own length, whatever its beginning says.
    """

    model: WritingModel
    asking: Asking
    max_tokens: int
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Judge the subject's last turn in its conversation.

        Raises:
            GuardModelError: the model is gone, the prompt does not fit, or what it wrote is no verdict.
        """
        prompt = self.asking.prompt(subject, self.model.context_tokens - self.max_tokens)
        written = await self.model.write(prompt, self.max_tokens, self.sampling)
        family, cut = self.asking.family, f" (cut at {self.max_tokens} tokens)" if written.cut else ""
        verdict = parse(family, written.text, subject.side)
        if verdict.status is not Status.OK or (written.cut and self.max_tokens < family.max_new_tokens):
            raise GuardModelError((verdict.detail or f"{family.name}: no whole verdict") + cut)
        return _score(verdict, written.times)


@dataclass(frozen=True)
class LabelJudge:
    """p(unsafe) from the probabilities of the label tokens at the label's position, in one step.

    What the family writes before its label is put into the prompt. ShieldGemma's card reads it so.
    """

    model: WritingModel
    asking: Asking

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Judge the subject's last turn in its conversation.

        Raises:
            GuardModelError: the model is gone, the prompt does not fit, or a label token has no probability.
        """
        prompt = self.asking.prompt(subject, self.model.context_tokens - 1)
        texts = self.asking.labels.texts
        found = await self.model.next_token(prompt, list(texts))
        logprobs = {text: found.values[token] for token, text in texts.items() if token in found.values}
        verdict = from_logprobs(self.asking.family, logprobs)
        if verdict.status is not Status.OK:
            raise GuardModelError(verdict.detail)
        return _score(verdict, found.times)


def _score(verdict: Verdict, times: Times) -> Score:
    return Score(
        verdict.p_unsafe,
        times.queued_ns,
        times.started_ns,
        times.ended_ns,
        verdict.p_refusal,
        verdict.categories,
        first_ns=times.first_ns,
    )
