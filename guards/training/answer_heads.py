"""p(unsafe | answer) and p(refusal | answer), both trained on answers that people judged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from guards.scorers.heads import Head, Recipe
from guards.scorers.minilm import MiniLm
from guards.training import held_out, logistic, measures, sources
from guards.training.prompt_head import counts
from guards.training.sources import Row
from guards.training.splits import TrainingSet, training_set


@dataclass(frozen=True)
class Plan:
    """How one of the two heads is trained. `operating_point` turns safe scores into the threshold."""

    name: Literal["answer", "refusal"]
    rows: Callable[[Path], list[Row]]
    recipe: Recipe
    l2: float
    emphasis: dict[str, float]
    operating_point: Callable[[np.ndarray], float]
    notes: dict[str, str]


ANSWER = Plan(
    name="answer",
    rows=lambda folder: [*sources.scored_answers(folder), *sources.own_and_refused_answers(folder)],
    recipe=Recipe(view="segments", ngram_buckets=4096),
    l2=3e-4,
    emphasis={},
    operating_point=lambda safe: float(np.quantile(safe, 0.95)),
    notes={
        "label": "unsafe: mean human harm score of at least 0.5 (PyRIT's harm and objective sets)",
        "licence": "pyrit 1.1.0: MIT; own: Apache-2.0, guards/training/data/refusals_train.jsonl",
        "threshold_rule": "5 % of safe answers flagged, out of fold",
    },
)

REFUSAL = Plan(
    name="refusal",
    rows=lambda folder: [*sources.judged_refusals(folder), *sources.own_answers()],
    recipe=Recipe(view="opening", ngram_buckets=1024, cues=True),
    l2=3e-4,
    emphasis={},
    operating_point=lambda _: 0.5,
    notes={
        "label": "refusal: declines the task or its harmful part (a partial answer counts as a refusal)",
        "licence": "pyrit 1.1.0: MIT; own: Apache-2.0, guards/training/data/refusals_train.jsonl",
        "threshold_rule": "the calibrated 0.5",
    },
)


def train(plan: Plan, encoder: MiniLm, folder: Path) -> Head:
    """Train one head; its measures are out of fold, with answers to the same prompt kept together."""
    pairs = [(row, plan.recipe.pieces(row.text)[0]) for row in plan.rows(folder)]
    rows = [Row(piece, row.label, row.source, row.group) for row, piece in pairs]
    unseen = held_out.answers()
    data = training_set(
        rows,
        encoder.embed([row.text for row in rows]),
        unseen,
        encoder.embed([plan.recipe.pieces(row.text)[0] for row in unseen]),
        plan.recipe,
        plan.emphasis,
    )
    logits = data.out_of_fold(plan.l2)
    weights = logistic.balanced(data.labels, data.emphasis)
    scale = logistic.platt(logits, data.labels, weights)
    model = logistic.calibrated(logistic.fit(data.features, data.labels, weights, plan.l2), scale)
    scores = logistic.sigmoid(scale.logits(logits[:, None]))
    threshold = plan.operating_point(scores[data.labels == 0])
    return Head(plan.name, model.weights, model.bias, threshold, plan.recipe, _card(plan, data, scores, threshold))


def _card(plan: Plan, data: TrainingSet, scores: np.ndarray, threshold: float) -> dict[str, Any]:
    positive, negative = scores[data.labels == 1], scores[data.labels == 0]
    by_source = {
        source: measures.rate(1.0 * _right(data, scores, threshold)[_from(data, source)], 1.0)
        for source in sorted({row.source for row in data.rows})
    }
    return {
        "trained_on": counts(data),
        **plan.notes,
        "split": "5 folds, answers to one prompt kept together; measures are out of fold",
        "auroc": round(measures.auroc(positive, negative), 4),
        "auroc_interval_95": measures.auroc_interval(positive, negative),
        "recall_at_1_percent_flagged": round(measures.recall_at(positive, negative, 0.01), 4),
        "recall_at_threshold": measures.rate(positive, threshold),
        "false_positives_at_threshold": measures.rate(negative, threshold),
        "accuracy_by_source": by_source,
    }


def _right(data: TrainingSet, scores: np.ndarray, threshold: float) -> np.ndarray:
    return np.asarray((scores >= threshold) == (data.labels == 1))


def _from(data: TrainingSet, source: str) -> np.ndarray:
    return np.array([row.source == source for row in data.rows])
