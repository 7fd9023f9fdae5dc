"""`verdicts: recorded`: every guard works as before, its verdicts are kept, and every text passes."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guards.check import Policy, check, failed, judged
from guards.config import build_guards
from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.guard import Score
from guards.loading import GuardConfigError
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Trace
from guards.verdict import Action, Status, TextSpan
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.report.recorded import recorded_note
from profiler.scenario import Scenario

EVERY = {"kind": "rules", "patterns": {"letter": ["[a-z]"]}, "secrets": False, "pii": False}
GUARDS: dict[str, dict[str, Any]] = {
    "blocking": {"kind": "input-classifier", "scorer": EVERY, "on_error": "closed"},
    "speculative": {"kind": "input-classifier", "scorer": EVERY, "gating": "speculative"},
    "redacting": {"kind": "input-classifier", "scorer": EVERY, "action": "redact"},
    "chunks": {"kind": "output-filter", "scorer": EVERY, "chunk_tokens": 4},
    "masking": {"kind": "output-filter", "scorer": EVERY, "chunk_tokens": 4, "action": "redact"},
    "rerank": {"kind": "refusal-reranker", "n": 3, "scorer": EVERY, "harm": EVERY},
}


def scenario(**changed: Any) -> Scenario:
    stated = {"name": "t", "prompts": {"benign": "b.jsonl"}, "guards": GUARDS, **changed}
    return Scenario.model_validate(stated)


def answer(name: str, *, enforced: bool) -> tuple[list[Delta], Trace, float]:
    async def read() -> tuple[list[Delta], Trace, float]:
        engine = ModelledEngine(now_ns=now_ns, seed=3)
        guard = build_guards(scenario().guards, None, enforced=enforced)[name]
        request = GenerationRequest("r", (Message("user", "a kettle"),), Sampling(max_tokens=12), Trace(now_ns))
        began_ns = now_ns()
        deltas = [delta async for delta in stack(Tap(engine), [guard]).generate(request)]
        return deltas, request.trace, (now_ns() - began_ns) / 1e9

    return run_virtual(read)


@pytest.mark.parametrize("name", GUARDS)
def test_a_text_that_a_guard_would_stop_or_change_passes_whole(name: str) -> None:
    enforced, _, _ = answer(name, enforced=True)
    deltas, trace, _ = answer(name, enforced=False)
    plain = "".join(delta.text for delta in deltas)
    assert sum(delta.tokens for delta in deltas) == 12
    assert deltas[-1].finish_reason in ("stop", "length")
    assert name == "redacting" or "".join(delta.text for delta in enforced) != plain
    unsafe = [found.verdict for found in trace.verdicts if found.verdict.spans]
    assert unsafe and {verdict.action for verdict in unsafe} == {Action.FLAG}


def test_the_filter_still_waits_for_every_chunk_and_the_reranker_for_its_candidates() -> None:
    _, trace, _ = answer("chunks", enforced=False)
    assert len([found for found in trace.verdicts if found.guard == "chunks"]) >= 3
    deltas, trace, _ = answer("rerank", enforced=False)
    assert len([found for found in trace.verdicts if found.guard == "rerank"]) == 3
    assert len(deltas) == 1


@given(
    st.sampled_from(["block", "redact", "rewrite", "flag"]),
    st.sampled_from(["open", "closed"]),
    st.one_of(st.none(), st.floats(0, 1)),
    st.booleans(),
    st.sampled_from([None, *Action]),
)
def test_nothing_but_allow_and_flag_comes_of_a_policy_that_is_not_enforced(
    action: Any, on_error: Any, p: float | None, spans: bool, advice: Action | None
) -> None:
    policy = Policy(action=action, on_error=on_error, enforced=False)
    found = (TextSpan(0, 1, "x"),) if spans else ()
    verdict = judged(Score(p, 0, 0, 0, spans=found, advice=advice), policy).verdict
    strict = judged(Score(p, 0, 0, 0, spans=found, advice=advice), Policy(action=action, on_error=on_error)).verdict
    assert verdict.action is (Action.ALLOW if strict.action is Action.ALLOW else Action.FLAG)
    assert (verdict.p_unsafe, verdict.spans, verdict.status) == (strict.p_unsafe, strict.spans, strict.status)
    assert failed(policy, Status.ERROR, "x").action is Action.ALLOW


def test_a_scorer_that_fails_closed_lets_the_text_pass_and_stays_an_error() -> None:
    class Broken:
        max_match_chars = 0

        async def score(self, subject: Subject) -> Score:
            raise ValueError("no")

    found = asyncio.run(check(Broken(), Subject("x"), Policy(on_error="closed", enforced=False)))
    assert (found.verdict.status, found.verdict.action) == (Status.ERROR, Action.ALLOW)


def test_a_custom_guard_cannot_be_held_back() -> None:
    own = {"mine": {"kind": "custom", "class": "mine:Guard"}}
    with pytest.raises(ValidationError, match=r"guards\.mine: a custom guard acts by itself"):
        scenario(guards=own, verdicts="recorded")
    with pytest.raises(GuardConfigError, match="acts by itself"):
        build_guards(scenario(guards=own).guards, enforced=False)


def test_the_report_says_so_first() -> None:
    assert recorded_note({"scenario": {"verdicts": "enforced", "engine": {}}}) == ""
    assert recorded_note({}) == ""
    note = recorded_note({"scenario": {"verdicts": "recorded", "engine": {"load_format": "dummy"}}})
    assert note.startswith("Dummy weights") and 'forced to "allow"' in note
