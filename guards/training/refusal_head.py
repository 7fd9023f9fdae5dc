"""The refusal detector's two levels: clauses that decline or deliver, then answers."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guards.scorers.clauses import Clause
from guards.scorers.minilm import MiniLm
from guards.scorers.refusal import RefusalDetector
from guards.scorers.refusal_features import answer_features, clause_features, clauses_read
from guards.training import held_out, logistic, measures
from guards.training.answers import Answer, clause_labels, judged_answers, own_answers, padded
from guards.training.logistic import Linear
from guards.training.splits import FOLDS, fold_of, unseen_rows

CLAUSE_L2 = 3e-5
ANSWER_L2 = 1e-4
WEIGHTS = {"own": 1.0, "own_padded": 0.25, "pyrit_harm": 0.5, "pyrit_refusal": 0.5}
"""What an answer weighs by its source. The padded ones keep long answers honest without ruling the short."""


@dataclass(frozen=True)
class Material:
    """Answers with their clauses' features; arrays over answers and over clauses (`owner` maps back)."""

    answers: list[Answer]
    read: list[list[Clause]]
    features: np.ndarray
    marks: np.ndarray
    owner: np.ndarray

    @property
    def folds(self) -> np.ndarray:
        """(answers,) folds; a group lies in one."""
        return np.array([fold_of(answer.group) for answer in self.answers])

    @property
    def labels(self) -> np.ndarray:
        """(answers,) labels."""
        return np.array([answer.label for answer in self.answers])

    @property
    def weights(self) -> np.ndarray:
        """(answers,) weights before balancing."""
        return np.array([WEIGHTS[answer.source] for answer in self.answers])


def train(encoder: MiniLm, folder: Path) -> RefusalDetector:
    """Train the detector; the card's measures are out of fold, contrast pairs and answers to one prompt together."""
    material, dropped = _material(encoder, folder)
    logits = _clauses_out_of_fold(material)
    numbers = answer_features(logits, material.read)
    scale = (numbers.mean(axis=0), numbers.std(axis=0) + 1e-6)
    rows = _answers_out_of_fold(material, (numbers - scale[0]) / scale[1])
    card = _card(material, logistic.sigmoid(rows), dropped)
    clause = _fit_clauses(material, np.ones(len(material.owner), dtype=bool))
    answer = _unscaled(_fit_answers(material, (numbers - scale[0]) / scale[1], rows), scale)
    return RefusalDetector(
        np.stack([model.weights for model in clause]),
        np.array([model.bias for model in clause]),
        np.stack([model.weights for model in answer]),
        np.array([model.bias for model in answer]),
        0.5,
        card,
    )


def _material(encoder: MiniLm, folder: Path) -> tuple[Material, int]:
    rows = [*own_answers(), *judged_answers(folder)]
    unseen = held_out.answers()
    kept = unseen_rows(
        [row.text for row in rows],
        encoder.embed([row.text for row in rows]),
        [row.text for row in unseen],
        encoder.embed([row.text for row in unseen]),
    )
    answers = [rows[index] for index in kept]
    answers += padded(answers)
    read = [clauses_read(answer.text) for answer in answers]
    marks = [mark for answer, found in zip(answers, read, strict=True) for mark in clause_labels(answer, found)]
    owner = np.repeat(np.arange(len(answers)), [len(found) for found in read])
    return Material(answers, read, clause_features(encoder, read), np.array(marks), owner), len(rows) - len(kept)


def _fit_clauses(material: Material, chosen: np.ndarray) -> list[Linear]:
    """The models of declining and of delivering, from the chosen clauses that have a mark."""
    chosen = chosen & (material.marks != "?")
    # An answer of many clauses weighs more than one of few, but not as much more.
    weights = (material.weights / np.sqrt([len(found) for found in material.read]))[material.owner][chosen]
    models = []
    for mark in "DC":
        labels = 1 * (material.marks[chosen] == mark)
        balanced = logistic.balanced(labels, weights)
        models.append(logistic.fit(material.features[chosen], labels, balanced, CLAUSE_L2))
    return models


def _clauses_out_of_fold(material: Material) -> np.ndarray:
    """(clauses, 2) log odds from models that saw nothing of the clause's group."""
    logits = np.empty((len(material.owner), 2))
    folds = material.folds[material.owner]
    for fold in range(FOLDS):
        models = _fit_clauses(material, folds != fold)
        for column, model in enumerate(models):
            logits[folds == fold, column] = model.logits(material.features[folds == fold])
    return logits


def _tasks(material: Material) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows and 0/1 labels of the two questions: does it decline; and if so, is it partial."""
    declines = np.array([answer.declines for answer in material.answers])
    partial = 1 * (material.labels == "partial")
    return [(np.ones(len(declines), dtype=bool), declines), (np.isin(material.labels, ["partial", "refusal"]), partial)]


def _answers_out_of_fold(material: Material, numbers: np.ndarray) -> np.ndarray:
    """(answers, 2) log odds of the two questions, out of fold."""
    rows = np.empty((len(numbers), 2))
    for column, (asked, labels) in enumerate(_tasks(material)):
        for fold in range(FOLDS):
            seen = asked & (material.folds != fold)
            weights = logistic.balanced(labels[seen], material.weights[seen])
            model = logistic.fit(numbers[seen], labels[seen], weights, ANSWER_L2)
            rows[material.folds == fold, column] = model.logits(numbers[material.folds == fold])
    return rows


def _fit_answers(material: Material, numbers: np.ndarray, rows: np.ndarray) -> list[Linear]:
    """The two questions' models from all answers, calibrated on the out-of-fold log odds."""
    models = []
    for column, (asked, labels) in enumerate(_tasks(material)):
        weights = logistic.balanced(labels[asked], material.weights[asked])
        scale = logistic.platt(rows[asked, column], labels[asked], weights)
        models.append(logistic.calibrated(logistic.fit(numbers[asked], labels[asked], weights, ANSWER_L2), scale))
    return models


def _unscaled(models: list[Linear], scale: tuple[np.ndarray, np.ndarray]) -> list[Linear]:
    """The same models on numbers that are not standardised."""
    mean, spread = scale
    return [Linear(m.weights / spread, m.bias - float((m.weights * mean / spread).sum())) for m in models]


def _card(material: Material, p: np.ndarray, dropped: int) -> dict[str, Any]:
    labels = material.labels
    declines = np.array([answer.declines for answer in material.answers])
    right = (p[:, 0] >= 0.5) == (declines == 1)
    found = np.where(p[:, 0] < 0.5, "compliance", np.where(p[:, 1] > 0.5, "partial", "refusal"))
    known = labels != "declines"
    sources = np.array([answer.source for answer in material.answers])
    names = sorted({answer.source for answer in material.answers})
    return {
        "trained_on": {source: dict(sorted(Counter(labels[sources == source].tolist()).items())) for source in names},
        "label": "declines: the task or a part of it is declined (refusal, partial); see guards/scorers/refusal.py",
        "labels": (
            "own: with the text; pyrit_refusal: PyRIT's people; pyrit_harm: this project's, one reader, doubtful ones "
            "left out, and compliance by rule where people scored harm and no word of a refusal occurs"
        ),
        "licence": "pyrit 1.1.0: MIT; own: Apache-2.0, guards/training/data/refusals_train.jsonl",
        "threshold_rule": "the calibrated 0.5",
        "split": (
            "5 folds, contrast pairs and answers to one prompt kept together; measures are out of fold. "
            f"{dropped} answers that repeat another, or are near one of tests/data/answers.jsonl, were left out"
        ),
        "auroc": round(measures.auroc(p[declines == 1, 0], p[declines == 0, 0]), 4),
        "auroc_interval_95": measures.auroc_interval(p[declines == 1, 0], p[declines == 0, 0]),
        "accuracy": {source: measures.share(right[sources == source]) for source in names},
        "accuracy_three_classes": {
            source: measures.share((found == labels)[known & (sources == source)]) for source in names
        },
        "own_called_declining": {
            label: measures.share((p[:, 0] >= 0.5)[(labels == label) & (sources == "own")])
            for label in ("compliance", "partial", "refusal")
        },
    }
