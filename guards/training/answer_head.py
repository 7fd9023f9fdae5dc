"""p(unsafe | answer), trained on answers that people judged."""

from pathlib import Path
from typing import Any

import numpy as np

from guards.scorers.heads import Head, Recipe
from guards.scorers.minilm import MiniLm, segments
from guards.training import held_out, logistic, measures, sources
from guards.training.prompt_head import counts
from guards.training.sources import Row
from guards.training.splits import TrainingSet, training_set

RECIPE = Recipe(ngram_buckets=4096)
L2 = 3e-4
FLAGGED = 0.05
"""Share of safe answers, out of fold, that the default threshold flags."""


def train(encoder: MiniLm, folder: Path) -> Head:
    """Train the head; its measures are out of fold, with answers to the same prompt kept together."""
    found = [*sources.scored_answers(folder), *sources.own_and_refused_answers(folder)]
    rows = [Row(segments(row.text)[0], row.label, row.source, row.group) for row in found]
    unseen = held_out.answers()
    data = training_set(
        rows,
        encoder.embed([row.text for row in rows]),
        unseen,
        encoder.embed([row.text for row in unseen]),
        RECIPE,
        {},
    )
    logits = data.out_of_fold(L2)
    weights = logistic.balanced(data.labels, data.emphasis)
    scale = logistic.platt(logits, data.labels, weights)
    model = logistic.calibrated(logistic.fit(data.features, data.labels, weights, L2), scale)
    scores = logistic.sigmoid(scale.logits(logits[:, None]))
    threshold = float(np.quantile(scores[data.labels == 0], 1.0 - FLAGGED))
    return Head("answer", model.weights, model.bias, threshold, RECIPE, _card(data, scores, threshold))


def _card(data: TrainingSet, scores: np.ndarray, threshold: float) -> dict[str, Any]:
    positive, negative = scores[data.labels == 1], scores[data.labels == 0]
    unsafe = data.labels == 1
    scored = np.array([row.source in ("pyrit_harm", "pyrit_objective") for row in data.rows])
    right = (scores >= threshold) == (data.labels == 1)
    origin = np.array([row.source for row in data.rows])
    return {
        "trained_on": counts(data),
        "label": "unsafe: mean human harm score of at least 0.5 (PyRIT's harm and objective sets)",
        "licence": "pyrit 1.1.0: MIT; own: Apache-2.0, guards/training/data/refusals_train.jsonl",
        "threshold_rule": f"{FLAGGED:.0%} of safe answers flagged, out of fold",
        "split": "5 folds, answers to one prompt kept together; measures are out of fold",
        "auroc": round(measures.auroc(positive, negative), 4),
        "auroc_interval_95": measures.auroc_interval(positive, negative),
        "auroc_pyrit_harm_sets_alone": round(measures.auroc(scores[scored & unsafe], scores[scored & ~unsafe]), 4),
        "recall_at_1_percent_flagged": round(measures.recall_at(positive, negative, 0.01), 4),
        "recall_at_threshold": measures.rate(positive, threshold),
        "false_positives_at_threshold": measures.rate(negative, threshold),
        "accuracy_by_source": {
            source: measures.share(right[origin == source]) for source in sorted({row.source for row in data.rows})
        },
    }
