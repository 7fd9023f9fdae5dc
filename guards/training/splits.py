"""What may be trained on, and the folds of cross-validation."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guards.scorers.heads import Recipe
from guards.training.logistic import balanced, fit
from guards.training.sources import Row, normalised

FOLDS = 5
NEAR = 0.9
"""Cosine above which a training text counts as a copy of a held-out one."""


@dataclass(frozen=True)
class TrainingSet:
    """Rows with their (n, d) features; `emphasis` (n,) is a row's weight before balancing of classes."""

    rows: list[Row]
    features: np.ndarray
    emphasis: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(n,) of 0 and 1."""
        return np.array([row.label for row in self.rows])

    def out_of_fold(self, l2: float) -> np.ndarray:
        """(n,) log odds of each row from a model that saw nothing of its group."""
        folds = np.array([fold_of(row.group) for row in self.rows])
        logits = np.empty(len(self.rows))
        for fold in range(FOLDS):
            seen = folds != fold
            weights = balanced(self.labels[seen], self.emphasis[seen])
            model = fit(self.features[seen], self.labels[seen], weights, l2)
            logits[~seen] = model.logits(self.features[~seen])
        return logits


def unseen_rows(
    texts: Sequence[str], embeddings: np.ndarray, held_out: Sequence[str], held_out_embeddings: np.ndarray
) -> list[int]:
    """Indices of `texts` without repeats and without copies of `held_out` (same words, or cosine above 0.9)."""
    taken = {normalised(text) for text in held_out}
    closest = (embeddings @ held_out_embeddings.T).max(axis=1) if len(held_out) else np.zeros(len(texts))
    kept = []
    for index, text in enumerate(texts):
        if normalised(text) not in taken and closest[index] <= NEAR:
            taken.add(normalised(text))
            kept.append(index)
    return kept


def fold_of(group: str) -> int:
    """The fold that a group of rows lies in."""
    return zlib.crc32(group.encode()) % FOLDS


def training_set(
    rows: Sequence[Row],
    embeddings: np.ndarray,
    held_out: Sequence[Row],
    held_out_embeddings: np.ndarray,
    recipe: Recipe,
    emphasis: dict[str, float],
) -> TrainingSet:
    """`rows` without repeats and without copies of held-out texts (same words, or cosine above 0.9).

    `emphasis` maps a source, or "borderline", to a weight; 1 where it says nothing.
    """
    kept = unseen_rows([row.text for row in rows], embeddings, [row.text for row in held_out], held_out_embeddings)
    chosen = [rows[index] for index in kept]
    features = recipe.features(embeddings[kept], [row.text for row in chosen])
    return TrainingSet(chosen, features, np.array([_emphasis(row, emphasis) for row in chosen]))


def _emphasis(row: Row, emphasis: dict[str, float]) -> float:
    if row.borderline:
        return emphasis.get("borderline", 1.0)
    return emphasis.get(row.source, 1.0)
