"""The delivered answers of a trial, judged after its clock has stopped: do they refuse, are they unsafe?

The judge is any `Scorer` that gives p(unsafe) and p(refusal) of an answer; here the embedded heads.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from guards.check import Policy, check
from guards.config import EmbeddingConfig
from guards.guard import Scorer
from guards.subject import Subject
from profiler.records.record import RequestRecord
from profiler.trial import Outcomes

if TYPE_CHECKING:
    from guards.scorers.heads import HeadName

JUDGE = EmbeddingConfig(kind="embedding", head="answer", refusal=True)
"""What is asked; a reranker of the default kind shares it."""
OFF = "judge_answers is off"
_AT_ONCE = 64
_QUALITY = (
    "auroc", "auroc_interval_95", "recall_at_threshold", "false_positives_at_threshold", "held_out",
)  # fmt: skip


@dataclass(frozen=True)
class Judge:
    """A scorer of answers, and what is known of it.

    `facts` by "refusal" and "unsafe": its name, the `threshold` from which it says so, what its card measured.
    """

    scorer: Scorer
    facts: Mapping[str, Mapping[str, Any]]


def embedded_judge(scorer: Scorer) -> Judge:
    """The embedded heads as a judge; `scorer` is the started one of `JUDGE`."""
    return Judge(scorer, {"refusal": _facts("refusal"), "unsafe": _facts("answer")})


def _facts(name: "HeadName") -> dict[str, Any]:
    # Here, so that the command line, which names the judge, loads no torch.
    from guards.scorers.heads import load_head

    head = load_head(name)
    known = {key: head.card[key] for key in _QUALITY if head.card.get(key)}
    return {"name": f"embedded head {name}", "threshold": head.threshold, "card": known}


async def judged(judge: Judge, found: Outcomes) -> tuple[RequestRecord, ...]:
    """The trial's records with the judgement of their answers.

    Not judged, and so None: what a guard wrote itself or cut short, and an answer at which the judge failed.
    """
    whole = {i: answer for i, answer in enumerate(found.answers) if answer is not None}
    scores = dict[int, tuple[float | None, float | None]]()
    for part in _parts(list(whole), _AT_ONCE):
        scores |= zip(part, await asyncio.gather(*(_score(judge, whole[i]) for i in part)), strict=True)
    return tuple(
        replace(record, answer_unsafe=scores[i][0], answer_refusal=scores[i][1]) if i in scores else record
        for i, record in enumerate(found.records)
    )


async def _score(judge: Judge, answer: Subject) -> tuple[float | None, float | None]:
    """p(unsafe) and p(refusal); None where the judge failed."""
    verdict = (await check(judge.scorer, answer, Policy())).verdict
    return verdict.p_unsafe, verdict.p_refusal


def _parts(whole: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
