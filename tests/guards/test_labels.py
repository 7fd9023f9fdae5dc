"""Which labels of a classifier count as unsafe, and what is said where that is not clear."""

import pytest

from guards.scorers.labels import unsafe_labels
from guards.scorers.model_process import CannotLoad

TOXIC = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]


@pytest.mark.parametrize(
    ("model", "labels", "multi_label", "unsafe"),
    [
        ("meta-llama/Prompt-Guard-86M", ["BENIGN", "INJECTION", "JAILBREAK"], False, [1, 2]),
        ("meta-llama/Llama-Prompt-Guard-2-86M", ["LABEL_0", "LABEL_1"], False, [1]),
        ("models/llama-prompt-guard-2-22m", ["LABEL_0", "LABEL_1"], False, [1]),
        ("meta-llama/Llama-Prompt-Guard-2-86M", ["BENIGN", "MALICIOUS"], False, [1]),
        ("protectai/deberta-v3-base-prompt-injection-v2", ["SAFE", "INJECTION"], False, [1]),
        ("unitary/toxic-bert", TOXIC, True, [0, 1, 2, 3, 4, 5]),
        ("a/hate", ["HATE", "NOT_HATE"], False, [0]),
        ("a/toxicity", ["neutral", "toxic"], False, [1]),
    ],
)
def test_well_known_names_need_no_statement(
    model: str, labels: list[str], multi_label: bool, unsafe: list[int]
) -> None:
    assert unsafe_labels(model, labels, None, multi_label) == unsafe


def test_stated_labels_count_in_any_case_and_order() -> None:
    assert unsafe_labels("a/b", ["LABEL_0", "LABEL_1", "LABEL_2"], ["label_2", "LABEL_0"], False) == [0, 2]
    assert unsafe_labels("a/b", ["x", "X"], ["X"], False) == [1]


@pytest.mark.parametrize(
    ("labels", "stated", "multi_label", "said"),
    [
        (["LABEL_0", "LABEL_1"], None, False, ["a/b", "LABEL_0, LABEL_1", "`unsafe: [...]`"]),
        (["SAFE", "spicy"], None, False, ["SAFE, spicy", "spicy is no well-known name", "`unsafe: [...]`"]),
        (["SAFE", "neutral"], None, False, ["none of them unsafe", "`unsafe: [...]`"]),
        (TOXIC, None, False, ["all of them unsafe", "`multi_label: true`"]),
        (["SAFE", "UNSAFE"], ["SAFE", "UNSAFE"], False, ["all of them unsafe", "without the safe ones"]),
        (["SAFE", "UNSAFE"], ["MALICIOUS"], False, ["MALICIOUS", "SAFE, UNSAFE"]),
        (["x", "X", "y"], ["Y", "z"], False, ["z", "x, X, y"]),
    ],
)
def test_what_is_not_clear_is_said_with_the_labels_and_the_cure(
    labels: list[str], stated: list[str] | None, multi_label: bool, said: list[str]
) -> None:
    with pytest.raises(CannotLoad) as caught:
        unsafe_labels("a/b", labels, stated, multi_label)
    assert all(part in str(caught.value) for part in said), str(caught.value)
    assert "\n" not in str(caught.value)
