"""Does an answer decline, in whole or in part? A refusal detector for English answers.

Definitions. A *refusal* declines the task and serves no part of it: apologies, reasons, warnings, hotlines and
offers of something else serve nothing. A *partial* refusal declines the task or a part of it and delivers
something of substance all the same: the other part, a safe version, the background. Everything else is
*compliance*: also a question back, "I don't know", a limit of the assistant's senses ("I can't see the picture,
but ..."), a refusal that is quoted, told or drafted for the user, and a warning inside an answer.

How. The answer is cut into clauses. Two linear models say of each clause whether it declines and whether it
delivers, from MiniLM's middle layers read in context, cue phrases and pairs of them, the neighbours' cues and
hashed n-grams. A few numbers about the clauses (the surest refusal, how much is delivered before and after it,
...) then give p(declines), and p(partial) given that it declines. Deterministic; one pass of four of MiniLM's
six layers over the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guards.assets import AssetError
from guards.scorers.clauses import Clause, clauses
from guards.scorers.lexical import hashed_ngrams
from guards.scorers.minilm import DIMENSIONS, MiniLm
from guards.scorers.refusal_cues import cues, patterns, with_pairs

LAYERS = (2, 4)
HEAD_CLAUSES = 32
TAIL_CLAUSES = 8
"""A longer answer is read at its beginning and its end only, where answers decline."""

_NGRAM_BUCKETS = 2048
# How loud each kind of feature speaks under one regularisation; chosen in cross-validation.
_NGRAMS, _CUES, _NEIGHBOURS, _STATES = 0.5, 2.0, 0.2, 2.0
_SUBSTANCE_CHARS = 60.0

_ANSWER_NUMBERS = 18


@dataclass(frozen=True)
class Outcome:
    """Probabilities that one answer is a full refusal, a partial one, or compliance; they add up to 1."""

    p_refusal: float
    p_partial: float

    @property
    def p_declines(self) -> float:
        """The task or a part of it is declined."""
        return self.p_refusal + self.p_partial

    @property
    def p_compliance(self) -> float:
        """Nothing is declined."""
        return 1.0 - self.p_declines

    @property
    def label(self) -> str:
        """The likelier of declining and complying, and of the two ways to decline."""
        if self.p_declines < 0.5:
            return "compliance"
        return "partial" if self.p_partial > self.p_refusal else "refusal"


@dataclass(frozen=True)
class RefusalDetector:
    """The head `refusal`: `score` is p(declines) of each answer, `judge` tells full from partial refusals.

    `clause` is (2, features) with `clause_bias` (2,): log odds that a clause declines, and that it delivers.
    `answer` is (2, numbers) with `answer_bias` (2,): log odds that the answer declines, and that a declining
    answer is partial.
    """

    clause: np.ndarray
    clause_bias: np.ndarray
    answer: np.ndarray
    answer_bias: np.ndarray
    threshold: float
    card: dict[str, Any]
    name: str = "refusal"

    def score(self, encoder: MiniLm, texts: Sequence[str]) -> np.ndarray:
        """p(declines the task or a part of it), (n,) float32."""
        return np.array([outcome.p_declines for outcome in self.judge(encoder, texts)], dtype=np.float32)

    def judge(self, encoder: MiniLm, texts: Sequence[str]) -> list[Outcome]:
        """Full refusal, partial refusal or compliance: one outcome a text."""
        if not texts:
            return []
        read = [clauses_read(text) for text in texts]
        logits = clause_features(encoder, read) @ self.clause.T + self.clause_bias
        rows = answer_features(logits, read) @ self.answer.T + self.answer_bias
        declines, partial = (0.5 * (1.0 + np.tanh(0.5 * rows))).T
        return [Outcome(float(d * (1.0 - p)), float(d * p)) for d, p in zip(declines, partial, strict=True)]


def clauses_read(text: str) -> list[Clause]:
    """The clauses of an answer that are looked at: all, or the first 32 and the last 8."""
    found = clauses(text)
    return found if len(found) <= HEAD_CLAUSES + TAIL_CLAUSES else [*found[:HEAD_CLAUSES], *found[-TAIL_CLAUSES:]]


def clause_features(encoder: MiniLm, answers: Sequence[Sequence[Clause]]) -> np.ndarray:
    """All answers' clauses, one after another: (clauses, features) float32."""
    texts = [[clause.text for clause in answer] for answer in answers]
    flat = [text for answer in texts for text in answer]
    own = cues(flat)
    before, after = _neighbours(own, [len(answer) for answer in texts])
    states = np.concatenate(encoder.hidden_means(texts, LAYERS))
    place = np.array([_place(answer, i) for answer in answers for i in range(len(answer))], dtype=np.float32)
    parts = [
        _NGRAMS * hashed_ngrams(flat, _NGRAM_BUCKETS),
        _CUES * with_pairs(own),
        _NEIGHBOURS * before,
        _NEIGHBOURS * after,
        place,
        _STATES * states,
    ]
    return np.concatenate(parts, axis=1)


def _neighbours(own: np.ndarray, lengths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The cues of the clause before and of the one after, zeros at an answer's ends."""
    before, after = np.zeros_like(own), np.zeros_like(own)
    start = 0
    for length in lengths:
        before[start + 1 : start + length] = own[start : start + length - 1]
        after[start : start + length - 1] = own[start + 1 : start + length]
        start += length
    return before, after


def _place(answer: Sequence[Clause], index: int) -> tuple[float, float, float, float]:
    text = answer[index].text
    return index == 0, index == len(answer) - 1, min(len(text.split()), 30) / 30, "\u2026" in text


def answer_features(logits: np.ndarray, answers: Sequence[Sequence[Clause]]) -> np.ndarray:
    """What the clauses' (clauses, 2) log odds say of each answer: (answers, numbers)."""
    ends = np.cumsum([len(answer) for answer in answers])
    parts = np.split(logits, ends[:-1])
    return np.array([_summary(part, answer) for part, answer in zip(parts, answers, strict=True)])


def _summary(logits: np.ndarray, answer: Sequence[Clause]) -> list[float]:
    chars = np.array([clause.chars for clause in answer], dtype=float)
    declines, delivers = logits[:, 0], logits[:, 1]
    p_declines, p_delivers = (0.5 * (1.0 + np.tanh(0.5 * logits))).T
    share = chars / max(chars.sum(), 1.0)
    ranked = np.sort(declines)[::-1]
    surest = int(np.argmax(declines))
    substance = p_delivers * (1.0 - p_declines) * chars
    rest = np.delete(np.arange(len(answer)), surest)
    return [
        float(ranked[0]),
        float(ranked[1]) if len(ranked) > 1 else -4.0,
        float(np.logaddexp.reduce(declines)),
        float(declines[0]),
        float(delivers[0]),
        float(delivers.min()),
        float(delivers.max()),
        float(p_delivers @ share),
        float(p_declines @ share),
        float(np.log1p(substance.sum())),
        float(np.log1p(substance[:surest].sum())),
        float(np.log1p(substance[surest + 1 :].sum())),
        float(substance.sum() > _SUBSTANCE_CHARS),
        float(p_delivers[rest] @ share[rest] / max(share[rest].sum(), 1e-6)),
        surest / len(answer),
        float(np.log(len(answer))),
        float(len(answer) == 1),
        float(np.log1p(chars.sum())),
    ]


def load_detector(path: Path, card: dict[str, Any]) -> RefusalDetector:
    """Read the weights.

    Raises:
        AssetError: the weights do not fit the features.
    """
    with np.load(path, allow_pickle=False) as arrays:
        clause, answer = arrays["clause"].astype(np.float32), arrays["answer"]
        biases, threshold = (arrays["clause_bias"], arrays["answer_bias"]), float(arrays["threshold"])
    phrases = len(patterns())
    width = _NGRAM_BUCKETS + phrases * (phrases + 1) // 2 + 2 * phrases + 4 + len(LAYERS) * DIMENSIONS
    expected = ((2, width), (2, _ANSWER_NUMBERS))
    if (clause.shape, answer.shape) != expected:
        raise AssetError(f"{path} holds {clause.shape} and {answer.shape} weights, not {expected}: train it again")
    return RefusalDetector(clause, biases[0], answer, biases[1], threshold, card)


def save_detector(detector: RefusalDetector, path: Path) -> None:
    """Write the weights; `load_detector` reads them back. The clauses' are kept in half precision."""
    np.savez(
        path,
        clause=detector.clause.astype(np.float16),
        clause_bias=detector.clause_bias,
        answer=detector.answer,
        answer_bias=detector.answer_bias,
        threshold=np.float64(detector.threshold),
    )
