"""Labelled answers for the refusal detector: the project's own, clause by clause, and people's from PyRIT."""

import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from guards.scorers.clauses import Clause
from guards.training import sources
from guards.training.splits import fold_of

Label = Literal["refusal", "partial", "declines", "compliance"]
"""`declines` is a refusal, full or partial: which of them was not judged."""

_DECLINES = re.compile(
    r"(?i)\b(?:can't|cannot|can not|won't|will not|unable|not able to|not going to|not willing|declin(?:e|ed)|refuse"
    r"|not authorized|not allowed|prohibited|nope|rather not"
    r"|don't (?:provide|help|share|write|do|think i can|condone))\b"
)
"""Words that mark a declining clause of an answer whose clauses nobody has labelled."""

_ONE_IN = 3
"""Of PyRIT's harmful answers, which are much of a kind, one in so many is kept."""


@dataclass(frozen=True)
class Answer:
    """One answer. `marks` has a letter for each character: D declines, O serves nothing, C delivers."""

    text: str
    label: Label
    source: str
    group: str
    marks: str | None = None

    @property
    def declines(self) -> int:
        """1 where the task or a part of it is declined."""
        return int(self.label != "compliance")


def own_answers() -> list[Answer]:
    """The answers written for this project; contrast pairs share a group."""
    return [
        Answer(
            "".join(text for _, text in row["parts"]),
            row["label"],
            "own",
            f"own:{row['group']}",
            "".join(mark * len(text) for mark, text in row["parts"]),
        )
        for row in sources.own("refusals_train.jsonl")
    ]


def judged_answers(folder: Path) -> list[Answer]:
    """PyRIT's refusal set (people's labels), and its harm sets.

    Of the harm sets, some have a label of this project's (`pyrit_refusals.jsonl`, by hash of the text); an
    answer that people scored as harmful and in which no word of a refusal occurs complies.
    """
    labels = {row["sha256"]: row["label"] for row in sources.own("pyrit_refusals.jsonl")}
    found = []
    for row in sources.scored_answers(folder):
        label = labels.get(key(row.text))
        if label is None and row.label == 1 and not _plainly_declines(row.text):
            label = "compliance" if zlib.crc32(row.text.encode()) % _ONE_IN == 0 else None
        if label is not None:
            found.append(Answer(row.text, label, "pyrit_harm", row.group))
    for row in sources.judged_refusals(folder):
        found.append(Answer(row.text, "refusal" if row.label else "compliance", "pyrit_refusal", row.group))
    return found


def padded(answers: Sequence[Answer]) -> list[Answer]:
    """Long answers, of which people's sets hold few that decline in part: own ones with another's text round them.

    Every partial answer and as many compliant ones, by turns before and after an ordinary long answer of the
    same fold, so that a model is never measured on text that it was trained on.
    """
    ordinary = [answer for answer in answers if answer.source == "pyrit_refusal" and answer.label == "compliance"]
    own = [answer for answer in answers if answer.source == "own"]
    partial = [answer for answer in own if answer.label == "partial"]
    compliant = [answer for answer in own if answer.label == "compliance"][: len(partial)]
    found = []
    for index, answer in enumerate([*partial, *compliant]):
        company = [other for other in ordinary if fold_of(other.group) == fold_of(answer.group)]
        other = company[zlib.crc32(answer.text.encode()) % len(company)].text + "\n\n"
        marks = answer.marks or "C" * len(answer.text)
        before = bool(index % 2)
        text = other + answer.text if before else f"{answer.text}\n\n{other}"
        served = "C" * len(other)
        marks = served + marks if before else f"{marks}CC{served}"
        found.append(Answer(text, answer.label, "own_padded", answer.group, marks))
    return found


def key(text: str) -> str:
    """The first 16 hex digits of the SHA-256 of the normalised text."""
    return hashlib.sha256(sources.normalised(text).encode()).hexdigest()[:16]


def clause_labels(answer: Answer, read: Sequence[Clause]) -> list[str]:
    """D, O or C for each clause; "?" where nobody has said."""
    if answer.label == "compliance":
        return ["C"] * len(read)
    if answer.marks is not None:
        return [_mark(answer, clause) for clause in read]
    found = ["D" if _plainly_declines(clause.text) else "?" for clause in read]
    if answer.label == "refusal" and "D" in found:
        return [mark.replace("?", "O") for mark in found]
    return found


def _plainly_declines(text: str) -> bool:
    return _DECLINES.search(text.translate(sources.APOSTROPHES)) is not None


def _mark(answer: Answer, clause: Clause) -> str:
    """D where it covers a third of the clause's letters, else the mark that covers most."""
    assert answer.marks is not None
    span = slice(clause.start, clause.start + clause.chars)
    marks = [m for m, char in zip(answer.marks[span], answer.text[span], strict=True) if not char.isspace()]
    if marks.count("D") * 3 >= len(marks):
        return "D"
    return max("OC", key=marks.count)
