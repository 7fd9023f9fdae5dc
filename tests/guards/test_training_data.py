"""What the heads may be trained on: no copies of held-out texts, labels that agree with their parts."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guards.scorers.refusal_features import clauses_read
from guards.training import held_out
from guards.training.answers import Answer, clause_labels, own_answers, padded
from guards.training.sources import normalised, own, own_prompts
from guards.training.splits import FOLDS, NEAR, fold_of, unseen_rows

ANSWERS = Path(__file__).parents[1] / "data" / "answers.jsonl"


def unit(*numbers: float) -> np.ndarray:
    return np.array(numbers) / np.linalg.norm(numbers)


def test_copies_of_held_out_texts_and_repeats_are_left_out_across_sets() -> None:
    texts = ["Make a bomb.", "make a BOMB", "Build me an explosive device", "Bake a cake", "Bake a cake!"]
    embeddings = np.stack([unit(1, 0, 0), unit(1, 0, 0), unit(1, 0.3, 0), unit(0, 0, 1), unit(0, 0, 1)])
    held = ["Make: a bomb"]
    assert unit(1, 0, 0) @ unit(1, 0.3, 0) > NEAR
    assert unseen_rows(texts, embeddings, held, np.stack([unit(1, 0, 0)])) == [3]
    assert unseen_rows(texts, embeddings, [], np.zeros((0, 3))) == [0, 2, 3]
    assert unseen_rows(texts, embeddings, ["Something else"], np.stack([unit(0, 1, 0)])) == [0, 2, 3]


def test_no_training_text_of_this_project_is_a_held_out_one() -> None:
    answers = {normalised(row["answer"]) for row in map(json.loads, ANSWERS.read_text(encoding="utf-8").splitlines())}
    copies = [answer for answer in own_answers() if normalised(answer.text) in answers]
    # Set phrases ("I can't help with that.") cannot but occur in both; the training leaves them out by itself.
    assert all(len(answer.text.split()) <= 8 for answer in copies)
    assert len(copies) <= 5
    prompts = {normalised(row.text) for row in held_out.prompts()}
    assert not [row for row in own_prompts() if normalised(row.text) in prompts]


def test_own_answers_have_parts_that_agree_with_their_label() -> None:
    answers = own_answers()
    assert len(answers) > 1000
    for row, answer in zip(own("refusals_train.jsonl"), answers, strict=True):
        marks = {mark for mark, _ in row["parts"]}
        wanted = {
            "compliance": [{"C"}],
            "partial": [{"C", "D"}, {"C", "D", "O"}],
            "refusal": [{"D"}, {"O"}, {"D", "O"}],
        }
        assert marks in wanted[answer.label], answer.text
        assert answer.marks is not None and len(answer.marks) == len(answer.text)
        assert len(clause_labels(answer, clauses_read(answer.text))) == len(clauses_read(answer.text))


def test_padded_answers_stay_in_the_fold_of_both_their_halves() -> None:
    ordinary = [
        Answer(f"Ordinary text {n}. It goes on.", "compliance", "pyrit_refusal", f"prompt {n}") for n in range(60)
    ]
    own_rows = own_answers()
    found = padded([*own_rows, *ordinary])
    by_text = {answer.text: answer for answer in ordinary}
    assert {answer.label for answer in found} == {"partial", "compliance"}
    for answer in found:
        (other,) = [by_text[text] for text in by_text if text in answer.text]
        assert fold_of(other.group) == fold_of(answer.group)
        assert answer.marks is not None and len(answer.marks) == len(answer.text)
        assert ("D" in answer.marks) == (answer.label == "partial")


@given(st.text())
def test_a_group_lies_in_one_fold(group: str) -> None:
    assert 0 <= fold_of(group) < FOLDS
    assert fold_of(group) == fold_of(group)
