"""The transformer scorer: windows, batches and labels of real classifiers, and a guard made of one."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from guards.check import Check, Policy, check
from guards.config import InputClassifierConfig, build_guards, open_resources
from guards.guard import Scorer
from guards.input_classifier import InputClassifier
from guards.loading import GuardConfigError
from guards.scorers.classifier import Classifier, groups
from guards.scorers.model_process import CannotLoad
from guards.scorers.transformer_model import load
from guards.subject import Subject
from guards.verdict import Action, Status
from tests.guards.classifiers import POSITIONS, TRIGGER, minilm_folder, trigger_folder

SCENARIOS = Path(__file__).parents[2] / "scenarios" / "prompts"
DEFAULTS: dict[str, Any] = {
    "revision": None,
    "device": "cpu",
    "dtype": "float32",
    "unsafe": None,
    "multi_label": None,
    "max_tokens": 512,
    "overlap_tokens": 8,
    "max_batch": 8,
    "threads": 1,
}


def loaded(folder: Path, **stated: Any) -> Classifier:
    judge = load(model=str(folder), **(DEFAULTS | stated))
    found: Classifier = judge.__self__  # type: ignore[attr-defined]
    return found


def p_unsafe(classifier: Classifier, *texts: str) -> list[float]:
    return [p for p, _ in classifier.judge(list(texts))]


def prompts(name: str, many: int) -> list[str]:
    lines = (SCENARIOS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["prompt"] for line in lines[:many]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="module")
def trigger(folders: Path) -> Classifier:
    return loaded(trigger_folder(folders / "trigger"))


@pytest.fixture(scope="module")
def minilm(folders: Path) -> Path:
    return minilm_folder(folders / "minilm", prompts("harmful", 24), prompts("benign", 24))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 700), st.floats(0, 1))
def test_a_trigger_anywhere_in_a_text_of_any_length_is_found(trigger: Classifier, words: int, where: float) -> None:
    text = ["word"] * words
    held = [*text]
    held.insert(round(where * words), TRIGGER)
    without, holding = p_unsafe(trigger, " ".join(text), " ".join(held))
    assert (without < 0.01, holding > 0.99) == (True, True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=4), st.integers(10, POSITIONS), st.integers(0, 7))
def test_windows_hold_every_word_in_order_overlap_and_are_no_longer_than_allowed(
    trigger: Classifier, words: list[int], max_tokens: int, overlap: int
) -> None:
    made = Classifier(trigger.model, trigger.tokenizer, trigger.labels, [1], False, max_tokens, overlap, 8)
    # Word pieces count up, so that each is found in its place: the tokenizer knows no numbers, so its ids stand in.
    windows = made.windows([" ".join(["word"] * many) for many in words])
    owners, ids = windows["overflow_to_sample_mapping"], windows["input_ids"]
    assert all(len(window) <= max_tokens for window in ids)
    for text, many in enumerate(words):
        lengths = [len(window) - 2 for window, owner in zip(ids, owners, strict=True) if owner == text]
        assert sum(lengths) - overlap * (len(lengths) - 1) == many
        assert all(length == max_tokens - 2 for length in lengths[:-1])


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 40), st.floats(1, 4))
def test_groups_hold_every_row_once_and_little_padding(lengths: list[int], most: int, ratio: float) -> None:
    made = list(groups(lengths, most, ratio))
    assert sorted(row for rows in made for row in rows) == list(range(len(lengths)))
    for rows in made:
        mine = [lengths[row] for row in rows]
        assert 0 < len(rows) <= most
        assert max(mine) <= ratio * min(mine)


def test_a_text_has_the_same_probability_alone_in_a_batch_and_in_transformers_itself(minilm: Path) -> None:
    texts = [*prompts("harmful", 20), *prompts("benign", 20), "", "é" * 40, "word " * 2000]
    classifier = loaded(minilm)
    batched = p_unsafe(classifier, *texts)
    alone = [p_unsafe(classifier, text)[0] for text in texts]
    np.testing.assert_allclose(batched, alone, atol=1e-5)
    model = AutoModelForSequenceClassification.from_pretrained(minilm).eval()
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    with torch.inference_mode():
        logits = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts[:-1]])
    np.testing.assert_allclose(batched[:-1], logits.softmax(dim=1)[:, 1], atol=1e-5)
    assert np.mean(np.array(batched[:20]) > 0.5) > 0.9
    assert np.mean(np.array(batched[20:40]) < 0.5) > 0.9


def test_a_window_is_no_longer_than_the_models_positions(folders: Path, trigger: Classifier) -> None:
    assert trigger.max_tokens == POSITIONS
    assert loaded(folders / "trigger", max_tokens=20).max_tokens == 20
    roberta = folders / "roberta"
    trigger.tokenizer.save_pretrained(roberta)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = RobertaConfig(
        vocab_size=100, max_position_embeddings=66, pad_token_id=1, id2label={0: "SAFE", 1: "UNSAFE"}, **sizes
    )
    RobertaForSequenceClassification(config).save_pretrained(roberta)
    classifier = loaded(roberta)
    assert classifier.max_tokens == 64
    assert 0 <= p_unsafe(classifier, "word " * 200)[0] <= 1


def test_unsafe_labels_of_one_distribution_are_summed(folders: Path) -> None:
    labels = ("BENIGN", "INJECTION", "JAILBREAK")
    classifier = loaded(trigger_folder(folders / "three", labels))
    assert p_unsafe(classifier, "word", TRIGGER) == pytest.approx([0.5, 1.0], abs=1e-4)
    only = loaded(folders / "three", unsafe=["JAILBREAK"])
    assert p_unsafe(only, "word", TRIGGER) == pytest.approx([0.0, 1.0], abs=1e-4)
    assert only.judge([TRIGGER])[0][1] == []


def test_labels_with_probabilities_of_their_own_are_categories(folders: Path) -> None:
    several = {"problem_type": "multi_label_classification", "rest": 0.2}
    classifier = loaded(trigger_folder(folders / "toxic", ("toxic", "insult", "threat"), **several))
    (calm, first), (_, second) = classifier.judge(["word", "word " * 200 + TRIGGER + " word" * 200])
    assert (calm, first) == (pytest.approx(1 / (1 + np.exp(-0.2)), abs=1e-5), ["toxic", "insult"])
    assert second == ["toxic", "insult", "threat"]
    only = loaded(folders / "toxic", unsafe=["threat"])
    assert [(round(p, 3), found) for p, found in only.judge(["word", TRIGGER])] == [(0.0, []), (1.0, ["threat"])]


def test_one_label_is_a_yes_or_no(folders: Path) -> None:
    classifier = loaded(trigger_folder(folders / "one", ("toxicity",)))
    assert p_unsafe(classifier, "word", TRIGGER) == pytest.approx([0.0, 1.0], abs=1e-4)


def test_a_model_that_gives_no_numbers_gives_no_probability(folders: Path) -> None:
    folder = trigger_folder(folders / "nan")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][:] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert np.isnan(p_unsafe(loaded(folder), "word " * 200)).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "auto"])
def test_the_models_numbers_may_be_short(folders: Path, trigger: Classifier, dtype: str) -> None:
    assert p_unsafe(loaded(folders / "trigger", dtype=dtype), TRIGGER)[0] > 0.9


def no_head(folder: Path) -> dict[str, Any]:
    trigger_folder(folder)
    BertModel.from_pretrained(folder).save_pretrained(folder)
    return {}


def pickled(folder: Path) -> dict[str, Any]:
    trigger_folder(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return {}


def damaged(folder: Path) -> dict[str, Any]:
    trigger_folder(folder)
    (folder / "config.json").write_text("{")
    return {}


def no_tokenizer(folder: Path) -> dict[str, Any]:
    trigger_folder(folder)
    for file in folder.glob("*token*"):
        file.unlink()
    return {}


def regression(folder: Path) -> dict[str, Any]:
    trigger_folder(folder, ("score",), problem_type="regression")
    return {}


def unnamed(folder: Path) -> dict[str, Any]:
    trigger_folder(folder, ("LABEL_0", "LABEL_1"))
    return {}


def narrow(folder: Path) -> dict[str, Any]:
    trigger_folder(folder)
    return {"overlap_tokens": POSITIONS - 2}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (no_head, "is no trained classifier: it has no classifier.bias"),
        (pickled, "safetensors"),
        (damaged, "cannot be read"),
        (no_tokenizer, "its tokenizer knows no words"),
        (regression, "is a regression"),
        (unnamed, "has the labels LABEL_0, LABEL_1"),
        (narrow, "overlap_tokens: 62 leaves no new text in a window of 64"),
    ],
)
def test_a_folder_that_is_no_good_says_why_in_one_line(tmp_path: Path, made: Any, said: str) -> None:
    stated = made(tmp_path)
    with pytest.raises(CannotLoad) as caught:
        loaded(tmp_path, **stated)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def config(**scorer: Any) -> InputClassifierConfig:
    return InputClassifierConfig.model_validate(
        {"kind": "input-classifier", "scorer": {"kind": "transformer"} | scorer}
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_guard_without_its_gpu_is_not_started(folders: Path, trigger: Classifier) -> None:
    async def start() -> None:
        async with open_resources([config(model=str(folders / "trigger"), device="cuda")]):
            pass

    with pytest.raises(GuardConfigError) as caught:
        asyncio.run(start())
    assert "device: cuda: torch" in str(caught.value)
    assert "state `device: cpu`" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"device": "gpu"}, "device"),
        ({"unsafe": []}, "unsafe"),
        ({"overlap_tokens": 512}, "`overlap_tokens: 512` is not under `max_tokens: 512`"),
        ({"max_wait_ms": float("inf")}, "max_wait_ms"),
    ],
)
def test_a_statement_that_cannot_be_is_refused(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(model="a/b", **stated)


@pytest.fixture(scope="module")
def asked(minilm: Path) -> Iterator[list[Check]]:
    """One worker process with MiniLM asked for all prompts at once."""

    async def work() -> list[Check]:
        configs = {"guard": config(model=str(minilm), max_batch=16, max_wait_ms=5)}
        async with open_resources(configs.values()) as resources:
            guard = build_guards(configs, resources)["guard"]
            assert isinstance(guard, InputClassifier)
            scorer: Scorer = guard.scorer
            texts = [*prompts("harmful", 10), *prompts("benign", 10)]
            return list(await asyncio.gather(*(check(scorer, Subject(text), guard.policy) for text in texts)))

    yield asyncio.run(work())


def test_a_guard_made_of_a_classifier_blocks_what_it_calls_malicious(asked: list[Check]) -> None:
    assert {one.verdict.status for one in asked} == {Status.OK}
    actions = [one.verdict.action for one in asked]
    assert actions[:10].count(Action.BLOCK) >= 9
    assert actions[10:].count(Action.ALLOW) >= 9


def test_requests_in_flight_share_batches_and_their_times_are_told(asked: list[Check]) -> None:
    scores = [one.score for one in asked if one.score is not None]
    assert len({score.started_ns for score in scores}) == 2  # 20 texts, at most 16 in a batch
    assert all(score.queued_ns <= score.started_ns <= score.ended_ns for score in scores)
    assert Policy().threshold == 0.5
