"""Which labels of a classifier mean unsafe: as the user states it, or by well-known names."""

import re
from collections.abc import Sequence

from guards.scorers.model_process import CannotLoad

# fmt: off
SAFE = frozenset(
    {
        "benign", "safe", "legit", "normal", "neutral", "clean", "harmless", "ok", "none", "acceptable", "appropriate",
        "nottoxic", "nontoxic", "nothate", "nonhate", "nohate", "nonhateful", "notoffensive", "nonoffensive",
        "noninjection", "notinjection", "nojailbreak",
    }
)
UNSAFE = frozenset(
    {
        "malicious", "injection", "promptinjection", "indirectinjection", "jailbreak", "unsafe", "harmful", "toxic",
        "toxicity", "severetoxic", "severetoxicity", "obscene", "threat", "insult", "identityhate", "identityattack",
        "hate", "hateful", "hatespeech", "offensive", "abusive", "harassment", "violence", "violent", "sexual",
        "sexualexplicit", "selfharm", "profanity",
    }
)
# fmt: on

# The published configs of Prompt Guard 2 name no labels; its card says that 1 is MALICIOUS.
_PROMPT_GUARD_2 = re.compile(r"prompt-?guard-?2\b", re.IGNORECASE)
_UNNAMED = ["LABEL_0", "LABEL_1"]


def unsafe_labels(model: str, labels: Sequence[str], stated: Sequence[str] | None, multi_label: bool) -> list[int]:
    """Indices of the labels that mean unsafe, in the order of `labels`.

    Args:
        model: hub id or folder, for messages and for models that name no labels.
        labels: the model's labels by index.
        stated: what the user says, None for well-known names.
        multi_label: whether each label has a probability of its own; else they sum to 1.

    Raises:
        CannotLoad: a stated label is none of the model's, names are not well known, or all or none mean unsafe.
    """
    there = f"{model} has the labels {', '.join(labels)}"
    known = stated is None
    found = _well_known(model, labels, there) if known else [_index(label, labels, there) for label in stated or ()]
    if not found:
        raise CannotLoad(f"{there}, none of them unsafe by its name: state `unsafe: [...]`")
    if len(set(found)) == len(labels) and not multi_label:
        cure = (
            "state `multi_label: true` if each has a probability of its own, or `unsafe: [...]` without the safe ones"
        )
        raise CannotLoad(f"{there}, all of them unsafe, and their probabilities sum to 1: {cure}")
    return sorted(set(found))


def _index(label: str, labels: Sequence[str], there: str) -> int:
    folded = [name.casefold() for name in labels]
    if label in labels:
        return labels.index(label)
    if folded.count(label.casefold()) == 1:
        return folded.index(label.casefold())
    raise CannotLoad(f"`unsafe` names {label}, but {there}: name some of these")


def _well_known(model: str, labels: Sequence[str], there: str) -> list[int]:
    if list(labels) == _UNNAMED and _PROMPT_GUARD_2.search(model):
        return [1]
    names = [re.sub(r"[^a-z0-9]", "", label.lower()) for label in labels]
    if unknown := [label for label, name in zip(labels, names, strict=True) if name not in SAFE | UNSAFE]:
        raise CannotLoad(
            f"{there}: say which of them mean unsafe, `unsafe: [...]` ({unknown[0]} is no well-known name)"
        )
    return [index for index, name in enumerate(names) if name in UNSAFE]
