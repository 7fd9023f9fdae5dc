"""Head: one prefill of a guard model, read by a classifying head."""

import math
from dataclasses import dataclass

from guards.families import from_logprobs
from guards.guard import Score
from guards.scorers.asking import Asking
from guards.scorers.guard_model import Classes, ClassifyingModel, GuardModelError, Tokenizer
from guards.subject import Subject
from guards.verdict import Status


@dataclass(frozen=True)
class TokenHead:
    """A causal model whose head is its output layer's rows for the label tokens, read at the last position.

    The same prompt and the same p(unsafe) as `LabelJudge` reads, without a token being sampled.
    """

    model: ClassifyingModel
    asking: Asking

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Judge the subject's last turn in its conversation.

        Raises:
            GuardModelError: the model is gone, the prompt does not fit, or what came back is no probability.
        """
        found = await self.model.classify(self.asking.prompt(subject, self.model.context_tokens))
        pairs = zip(self.model.labels, found.probabilities, strict=True)
        verdict = from_logprobs(self.asking.family, {text: _log(p) for text, p in pairs})
        if verdict.status is not Status.OK:
            raise GuardModelError(verdict.detail)
        return _score(verdict.p_unsafe, found, ())


@dataclass(frozen=True)
class ClassifierHead:
    """A sequence classifier of plain text: p(unsafe) is that of the labels in `unsafe`, by name.

    Their sum where labels exclude each other, the greatest where each stands alone. Categories are those of them
    that are at least as likely as not. Longer text than fits is an error, never cut.
    """

    model: ClassifyingModel
    tokenizer: Tokenizer
    unsafe: frozenset[str]

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Judge the subject's text.

        Raises:
            GuardModelError: the model is gone, or the text does not fit.
        """
        tokens, room = self.tokenizer.encode(subject.text, add_special_tokens=True), self.model.context_tokens
        if len(tokens) > room:
            raise GuardModelError(f"too long for the guard model: {len(tokens)} tokens, {room} fit")
        found = await self.model.classify(tokens)
        bad = {n: p for n, p in zip(self.model.labels, found.probabilities, strict=True) if n in self.unsafe}
        if not all(math.isfinite(p) for p in bad.values()):  # `max` may pass over NaN
            raise GuardModelError(f"the classifier's probabilities are {found.probabilities}")
        p_unsafe = min(1.0, math.fsum(bad.values())) if self.model.exclusive else max(bad.values())
        return _score(p_unsafe, found, tuple(name for name, p in bad.items() if p >= 0.5))


def _score(p_unsafe: float | None, found: Classes, categories: tuple[str, ...]) -> Score:
    times = found.times
    return Score(p_unsafe, times.queued_ns, times.started_ns, times.ended_ns, categories=categories)


def _log(p: float) -> float:
    return math.log(p) if p > 0.0 else -math.inf if p == 0.0 else math.nan
