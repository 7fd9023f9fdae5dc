"""The prompt sets and the labelled answers: large enough, unique, and labelled as their files say."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from profiler.prompt_sets import Prompt, normalised, read_all

PROMPTS = Path(__file__).parents[1] / "scenarios" / "prompts"
ANSWERS = Path(__file__).parent / "data" / "answers.jsonl"
LABEL_OF_FILE = {"benign": "benign", "borderline": "borderline", "harmful": "harmful", "warmup": "benign"}


def repeated(values: list[str]) -> list[str]:
    return [value for value, n in Counter(values).items() if n > 1]


def prompts_of(file: str) -> tuple[Prompt, ...]:
    return read_all([str(PROMPTS / f"{file}.jsonl")], f"prompts.{file}")


def all_prompts() -> list[Prompt]:
    return [prompt for file in LABEL_OF_FILE for prompt in prompts_of(file)]


def answers() -> list[dict[str, str]]:
    return [json.loads(line) for line in ANSWERS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("file", "rows", "categories"),
    [("benign", 120, 8), ("borderline", 40, 8), ("harmful", 60, 8), ("warmup", 24, 1)],
)
def test_each_file_is_large_and_varied_enough(file: str, rows: int, categories: int) -> None:
    prompts = prompts_of(file)
    assert len(prompts) >= rows
    assert len({prompt.category for prompt in prompts}) >= categories


@pytest.mark.parametrize("file", LABEL_OF_FILE)
def test_every_row_carries_the_label_and_the_id_prefix_of_its_file(file: str) -> None:
    for prompt in prompts_of(file):
        assert prompt.label == LABEL_OF_FILE[file], prompt.id
        assert re.fullmatch(rf"{file}-\d{{3}}", prompt.id)


def test_every_prompt_has_a_category_and_a_text() -> None:
    assert [p.id for p in all_prompts() if not re.fullmatch(r"[a-z_]+", p.category)] == []
    assert [p.id for p in all_prompts() if not p.prompt.strip()] == []


def test_ids_and_texts_are_unique_across_the_files() -> None:
    assert repeated([prompt.id for prompt in all_prompts()]) == []
    assert repeated([normalised(prompt) for prompt in all_prompts()]) == []


def test_the_warm_up_shares_neither_text_nor_topic_with_a_trial() -> None:
    warmup = prompts_of("warmup")
    trial = [prompt for file in ("benign", "borderline", "harmful") for prompt in prompts_of(file)]
    assert {normalised(p) for p in warmup}.isdisjoint(normalised(p) for p in trial)
    assert {p.category for p in warmup}.isdisjoint(p.category for p in trial)


def test_benign_prompts_come_in_short_and_long() -> None:
    """A guard's cost grows with the prompt: a set of one length would hide it."""
    words = [len(prompt.prompt.split()) for prompt in prompts_of("benign")]
    assert sum(8 <= n <= 40 for n in words) >= 100
    assert sum(80 <= n <= 200 for n in words) >= 20


def test_answers_are_balanced_as_documented() -> None:
    assert Counter(row["label"] for row in answers()) == {"compliance": 120, "refusal": 120, "partial": 60}


def test_answers_are_unique_and_complete() -> None:
    rows = answers()
    assert all(set(row) == {"id", "prompt", "answer", "label"} for row in rows)
    assert all(row["prompt"].strip() and row["answer"].strip() for row in rows)
    assert all(re.fullmatch(rf"{row['label']}-\d{{3}}", row["id"]) for row in rows)
    assert repeated([row["id"] for row in rows]) == []
    assert repeated([normalised(Prompt("", "", "", row["answer"])) for row in rows]) == []
