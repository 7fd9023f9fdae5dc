"""Which token ids of a model stand for a family's labels, and what is written before them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from guards.families.family import FamilyError
from guards.families.schema import Family, Label, ScoreAt
from guards.verdict import Action


class Tokens(Protocol):
    """The tokenizer, as far as labels need it."""

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Token ids of a text."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        ...


@dataclass(frozen=True, slots=True)
class LabelTokens:
    """`before`: ids that are put after the prompt; `texts`: label token id -> its text in the family's file."""

    before: tuple[int, ...]
    texts: Mapping[int, str]


NO_LABELS = LabelTokens((), {})


def label_tokens(family: Family, tokenizer: Tokens) -> LabelTokens:
    """The label position of a family in one model's tokens.

    `after` and label are cut as one text, since a tokenizer may cut `after` alone in another way (two newlines are
    one token at the end of a text and two before a word in some), and joined to the prompt as ids, since the model
    writes them after it. A label's spelling that is not one token is left out if the label has another; so is one
    that is the beginning of another spelling (` Cont` of ` Controversial`) but not that one's first token.

    Raises:
        FamilyError: a label has no such token, or there is no label position; names the family and the token.
    """
    where = family.reading.score_at
    if where is None:
        raise FamilyError(f"family {family.name} has no label position to score: use `read: text`")
    found = {label: _spellings(where.after, texts, tokenizer) for label, texts in where.tokens.items()}
    for label, spellings in found.items():
        if not spellings:
            raise FamilyError(
                f"family {family.name}: label {label}: none of {list(where.tokens[label])} is one token of this model"
            )
    for before in dict.fromkeys(before for spellings in found.values() for _, before, _ in spellings):
        kept = {label: [s for s in spellings if s[1] == before] for label, spellings in found.items()}
        if all(kept.values()):
            return LabelTokens(before, {token: text for several in kept.values() for text, _, token in several})
    raise FamilyError(f"family {family.name}: this model cuts {where.after!r} differently before each label")


def with_labels(family: Family, safe: str, unsafe: str) -> Family:
    """The family with these two label tokens in place of its own, at its own label position (or first of all)."""
    after = family.reading.score_at.after if family.reading.score_at else ""
    reading = family.reading.model_copy(
        update={
            "labels": {
                safe: Label(p_unsafe=0.0, action=Action.ALLOW),
                unsafe: Label(p_unsafe=1.0, action=Action.BLOCK),
            },
            "score_at": ScoreAt(after=after, tokens={safe: (safe,), unsafe: (unsafe,)}),
        }
    )
    return family.model_copy(update={"reading": reading})


_Spelling = tuple[str, tuple[int, ...], int]


def _spellings(after: str, texts: Iterable[str], tokenizer: Tokens) -> list[_Spelling]:
    """(text, ids before it, its id) of each text that is one token after `after`."""
    cut = {text: tokenizer.encode(after + text) for text in texts}
    found = []
    for text, ids in cut.items():
        longer = [other for other in cut if other != text and other.startswith(text)]
        one = bool(ids) and tokenizer.decode(ids[-1:]) == text
        if one and all(cut[other][: len(ids)] == ids for other in longer):
            found.append((text, tuple(ids[:-1]), ids[-1]))
    return found
