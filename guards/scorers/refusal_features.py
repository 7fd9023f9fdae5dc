"""What the refusal detector sees of an answer: features of its clauses, then numbers about all of them."""

from collections.abc import Sequence

import numpy as np

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


def widths() -> tuple[int, int]:
    """Features of a clause, and numbers of an answer."""
    phrases = len(patterns())
    clause = _NGRAM_BUCKETS + phrases * (phrases + 1) // 2 + 2 * phrases + 4 + len(LAYERS) * DIMENSIONS
    return clause, _ANSWER_NUMBERS


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
