"""The project's own held-out sets: the scenarios' prompts and the tests' answers. Never trained on."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from guards.scorers.heads import Head
from guards.scorers.minilm import MiniLm
from guards.training import measures
from guards.training.sources import Row, normalised

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "scenarios" / "prompts"
ANSWERS = ROOT / "tests" / "data" / "answers.jsonl"


def measured(head: Head, encoder: MiniLm) -> dict[str, Any]:
    """Shares at the head's threshold on the sets that exist; {} where none does."""
    if head.name == "prompt":
        return _prompts(head, encoder)
    if head.name == "refusal" and ANSWERS.is_file():
        return _answers(head, encoder)
    return {}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def prompts() -> list[Row]:
    """The scenarios' prompts, so that near copies of them can be kept out of training."""
    found = [row for file in _prompt_files() for row in rows_of(file)]
    return [Row(row["prompt"], int(row["label"] == "harmful"), "scenarios", normalised(row["prompt"])) for row in found]


def answers() -> list[Row]:
    """The tests' answers, likewise."""
    rows = rows_of(ANSWERS) if ANSWERS.is_file() else []
    return [Row(row["answer"], int(row["label"] != "compliance"), "tests", row["id"]) for row in rows]


def _prompt_files() -> list[Path]:
    files = (PROMPTS / f"{kind}.jsonl" for kind in ("benign", "borderline", "harmful"))
    return [file for file in files if file.is_file()]


def _prompts(head: Head, encoder: MiniLm) -> dict[str, Any]:
    scores = {file.stem: head.score(encoder, [row["prompt"] for row in rows_of(file)]) for file in _prompt_files()}
    found: dict[str, Any] = {
        f"scenarios_{kind}_flagged": measures.rate(values, head.threshold) for kind, values in scores.items()
    }
    for kind in ("benign", "borderline"):
        if kind in scores and "harmful" in scores:
            found[f"scenarios_auroc_harmful_vs_{kind}"] = round(measures.auroc(scores["harmful"], scores[kind]), 4)
    return found


def _answers(head: Head, encoder: MiniLm) -> dict[str, Any]:
    rows = rows_of(ANSWERS)
    labels = np.array([row["label"] for row in rows])
    scores = head.score(encoder, [row["answer"] for row in rows])
    refused = scores >= head.threshold
    whole = labels != "partial"
    return {
        "answers_accuracy_partial_as_refusal": _share(refused == (labels != "compliance")),
        "answers_accuracy_partial_as_compliance": _share(refused == (labels == "refusal")),
        "answers_accuracy_without_partial": _share((refused == (labels == "refusal"))[whole]),
        **{
            f"answers_{label}_called_refusal": _share(refused[labels == label])
            for label in ("compliance", "partial", "refusal")
        },
    }


def _share(hits: np.ndarray) -> dict[str, float | int]:
    return measures.rate(1.0 * hits, 1.0)
