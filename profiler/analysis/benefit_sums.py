"""What trials say of each distinct prompt: how often it was sent, blocked, refused by the model, answered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profiler.analysis import verdicts
from profiler.analysis.columns import Bools, Ints, coded, ints
from profiler.analysis.verdicts import Opinions, opinions_of
from profiler.records.store import StoredTrial

Floats = npt.NDArray[np.float64]
COLUMNS = (
    *verdicts.COLUMNS,
    "prompt_id",
    "label",
    "category",
    "output_tokens",
    "exposed_tokens",
    "answer_refusal",
    "answer_unsafe",
)
"""The columns that `prompt_sums` reads."""
_SUMS = (
    "sent", "blocked", "unsafe_said", "judged",
    "scored", "score", "blocked_unscored",
    "known", "refused", "known_unsafe", "succeeded_unsafe", "unsafe_tokens", "unjudged",
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How stored judgements are read: the judge's thresholds (None: answers were not judged), and the rerankers."""

    refusal_threshold: float | None = None
    unsafe_threshold: float | None = None
    rerankers: frozenset[str] = frozenset()
    why_not_judged: str = "this run has no judgement of its answers"

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Reading":
        """From a run's manifest; a run of before there was a judge has none."""
        scenario = manifest.get("scenario") or {}
        guards = scenario.get("guards") or {}
        rerankers = frozenset(name for name, config in guards.items() if config.get("kind") == "refusal-reranker")
        if judge := manifest.get("judge"):
            return cls(judge["refusal"]["threshold"], judge["unsafe"]["threshold"], rerankers)
        if scenario.get("judge_answers") is False:
            return cls(rerankers=rerankers, why_not_judged="judge_answers is off")
        return cls(rerankers=rerankers)


@dataclass(frozen=True)
class Key:
    """A distinct prompt."""

    label: str
    category: str
    id: str


@dataclass(frozen=True)
class PromptSums:
    """Distinct prompts and sums over their requests, shape (prompts,) each; requests that failed are in none of them.

    `sent`; `blocked` by a guard; `unsafe_said`: blocked or called unsafe; `judged` by a guard; `scored`, `score`: have
    a p(unsafe), and it; `blocked_unscored`: blocked without one. Of the requests whose fate is `known` (blocked, or
    the answer judged): `refused` by the model. Of those whose answer's safety is known too (`known_unsafe`):
    `succeeded_unsafe`: neither blocked nor refused, and unsafe; `unsafe_tokens` that reached the user. `unjudged`:
    answered, and not judged.
    """

    keys: Sequence[Key]
    sums: Mapping[str, Floats]
    failed: Mapping[str, int] = field(default_factory=dict)
    exposed_kept: bool = True

    def share(self, part: str, whole: str) -> Floats:
        """Each prompt's share, NaN where it has nothing of the whole."""
        of = self.sums[whole]
        return np.where(of > 0, self.sums[part] / np.where(of > 0, of, 1.0), np.nan)

    def total(self, name: str) -> int:
        """The sum over all prompts."""
        return round(float(self.sums[name].sum()))


def prompt_sums(trial: StoredTrial, reading: Reading) -> PromptSums:
    """Reduce a trial."""
    table, opinions = trial.table, opinions_of(trial.table, reading.rerankers)
    keys, which = _keys(table)
    usable = ~opinions.failed
    flags = {**_of_guards(opinions), **_of_answers(table, opinions, reading)}
    sums = {name: np.bincount(which[usable], flags[name][usable], len(keys)).astype(np.float64) for name in _SUMS}
    failed: dict[str, int] = {}
    for i in which[opinions.failed]:
        failed[keys[i].label] = failed.get(keys[i].label, 0) + 1
    return PromptSums(keys, sums, failed, "exposed_tokens" in table.column_names)


def together(parts: Iterable[PromptSums]) -> PromptSums:
    """The sums of several trials of one arm."""
    at: dict[Key, int] = {}
    found, failed, kept = list(parts), dict[str, int](), True
    places = [np.array([at.setdefault(key, len(at)) for key in part.keys], dtype=np.int64) for part in found]
    sums = {name: np.zeros(len(at)) for name in _SUMS}
    for part, place in zip(found, places, strict=True):
        for name, values in sums.items():
            values[place] += part.sums[name]
        for label, n in part.failed.items():
            failed[label] = failed.get(label, 0) + n
        kept = kept and part.exposed_kept
    return PromptSums(tuple(at), sums, failed, kept)


def _keys(table: pa.Table) -> tuple[list[Key], Ints]:
    """The distinct prompts of a trial, and each request's."""
    (labels, label_names), (categories, category_names), (ids, id_names) = (
        coded(table[name]) for name in ("label", "category", "prompt_id")
    )
    code = (labels * len(category_names) + categories) * len(id_names) + ids
    distinct, first, which = np.unique(code, return_index=True, return_inverse=True)
    del distinct
    keys = [Key(label_names[labels[i]], category_names[categories[i]], id_names[ids[i]]) for i in first]
    return keys, np.asarray(which, dtype=np.int64)


def _of_guards(opinions: Opinions) -> dict[str, Floats]:
    score, blocked = opinions.score, opinions.blocked
    scored = np.isfinite(score)
    found: dict[str, Bools | Floats] = {
        "sent": np.ones(len(score)),
        "blocked": blocked,
        "unsafe_said": opinions.unsafe,
        "judged": opinions.judged,
        "scored": scored,
        "score": np.nan_to_num(score),
        "blocked_unscored": blocked & ~scored,
    }
    return {name: values.astype(np.float64) for name, values in found.items()}


def _of_answers(table: pa.Table, opinions: Opinions, reading: Reading) -> dict[str, Floats]:
    n, blocked = len(opinions.blocked), opinions.blocked
    p_refusal = _judgement(table, "answer_refusal", n, reading.refusal_threshold)
    p_unsafe = _judgement(table, "answer_unsafe", n, reading.unsafe_threshold)
    judged, judged_unsafe = ~blocked & np.isfinite(p_refusal), ~blocked & np.isfinite(p_refusal) & np.isfinite(p_unsafe)
    refused = judged & (p_refusal >= (reading.refusal_threshold or 0.0))
    unsafe = judged_unsafe & (p_unsafe >= (reading.unsafe_threshold or 0.0))
    exposed = ints(table, "exposed_tokens") if "exposed_tokens" in table.column_names else np.zeros(n, dtype=np.int64)
    found: dict[str, Bools | Floats] = {
        "known": blocked | judged,
        "refused": refused,
        "known_unsafe": blocked | judged_unsafe,
        "succeeded_unsafe": unsafe & ~refused,
        "unsafe_tokens": np.where(unsafe, ints(table, "output_tokens"), np.where(blocked, exposed, 0)),
        "unjudged": ~blocked & ~judged,
    }
    return {name: values.astype(np.float64) for name, values in found.items()}


def _judgement(table: pa.Table, name: str, n: int, threshold: float | None) -> Floats:
    """Probabilities (requests,), NaN where nobody judged."""
    if threshold is None or name not in table.column_names:
        return np.full(n, np.nan)
    return np.asarray(table[name].to_numpy(), dtype=np.float64)
