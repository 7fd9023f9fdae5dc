"""The project's own held-out sets: the scenarios' prompts and the tests' answers. Never trained on."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from guards.scorers.heads import Head
from guards.scorers.minilm import MiniLm
from guards.scorers.refusal import RefusalDetector
from guards.training import measures
from guards.training.sources import Row, normalised

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "scenarios" / "prompts"
ANSWERS = ROOT / "tests" / "data" / "answers.jsonl"


def measured(head: Head | RefusalDetector, encoder: MiniLm) -> dict[str, Any]:
    """Shares at the head's threshold on the sets that exist; {} where none does."""
    if isinstance(head, RefusalDetector):
        return detector_on(head, encoder, ANSWERS) if ANSWERS.is_file() else {}
    return _prompts(head, encoder) if head.name == "prompt" else {}


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


def detector_on(detector: RefusalDetector, encoder: MiniLm, path: Path) -> dict[str, Any]:
    """Shares right on a file of labelled answers: does it decline (two classes), and how (three)."""
    rows = rows_of(path)
    labels = np.array([row["label"] for row in rows])
    outcomes = detector.judge(encoder, [row["answer"] for row in rows])
    declines = np.array([outcome.p_declines >= detector.threshold for outcome in outcomes])
    found = np.array([outcome.label for outcome in outcomes])
    return {
        "answers_accuracy": measures.share(declines == (labels != "compliance")),
        "answers_accuracy_three_classes": measures.share(found == labels),
        "answers_called_declining": {
            label: measures.share(declines[labels == label]) for label in ("compliance", "partial", "refusal")
        },
        "answers_class_right": {
            label: measures.share((found == labels)[labels == label]) for label in ("compliance", "partial", "refusal")
        },
    }
