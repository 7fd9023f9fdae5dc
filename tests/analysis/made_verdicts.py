"""Stored trials whose verdicts and judgements are of the test's choosing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from guards.trace import GuardVerdict
from guards.verdict import Action, Status, Verdict
from profiler.records.record import Outcome, RequestRecord
from profiler.records.store import StoredTrial
from tests.analysis.made_trials import request, trial


def verdict(guard: str, p: float | None, action: Action = Action.ALLOW, status: Status = Status.OK) -> GuardVerdict:
    return GuardVerdict(guard, Verdict(action, p, status=status), 1)


def asked(
    index: int,
    id_: str,
    label: str,
    *verdicts: GuardVerdict,
    blocked: str = "",
    refusal: float | None = None,
    unsafe: float | None = None,
    **more: Any,
) -> RequestRecord:
    """One request of the prompt `id_`; `blocked` is "blocked" or "cut"."""
    made = request(index, finish=blocked or "stop", outcome=Outcome.BLOCKED if blocked else Outcome.PASSED)
    changed = {
        "prompt_id": id_,
        "label": label,
        "verdicts": verdicts,
        "answer_refusal": refusal,
        "answer_unsafe": unsafe,
    }
    return replace(made, **{**changed, **more})


def trial_of(arm: str, block: int, records: Sequence[RequestRecord], replicate: int = 0) -> StoredTrial:
    return trial(block, block, arm, records, replicate=replicate)
