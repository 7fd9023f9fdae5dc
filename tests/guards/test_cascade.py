"""A cheap scorer that is sure speaks alone; where it is not, the dear one does, and its failure is the verdict."""

import asyncio
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from guards.check import Check, Policy, check, record_stages
from guards.config import InputClassifierConfig, build_guard, open_resources
from guards.config.scorers import parts
from guards.generation import GenerationRequest, Message, Sampling
from guards.guard import Score, Skipped
from guards.input_classifier import InputClassifier
from guards.loading import GuardConfigError
from guards.scorers.cascade import Cascade
from guards.scorers.heads import load_head
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage, Trace
from guards.verdict import Action, Status, TextSpan
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.errors import UserError
from profiler.scenario import load_scenario

ROOT = Path(__file__).parents[2]
MS = 1_000_000


@dataclass
class Scripted:
    """Waits `queue_ms`, works `work_ms`, and says what the test says, or fails."""

    p: float | None
    error: Exception | None = None
    queue_ms: int = 10
    work_ms: int = 20
    advice: Action | None = None
    categories: tuple[str, ...] = ()
    spans: tuple[TextSpan, ...] = ()
    detail: str = ""
    max_match_chars: int = 0
    asked: list[Subject] = field(default_factory=list)

    async def score(self, subject: Subject) -> Score:
        self.asked.append(subject)
        queued_ns = now_ns()
        await asyncio.sleep((self.queue_ms + self.work_ms) / 1e3)
        if self.error is not None:
            raise self.error
        return Score(
            self.p, queued_ns, queued_ns + self.queue_ms * MS, now_ns(), categories=self.categories, spans=self.spans,
            advice=self.advice, detail=self.detail,
        )  # fmt: skip


def judged(
    cheap: Scripted, dear: Scripted, band: tuple[float, float] = (0.2, 0.8), policy: Policy | None = None
) -> Check:
    subject = Subject("text", "prompt", (Message("user", "text"),))
    found = run_virtual(lambda: check(Cascade(cheap, dear, band), subject, policy or Policy()))
    assert cheap.asked == [subject] and dear.asked in ([], [subject])
    return found


@given(st.floats(0, 1), st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_the_dear_one_is_asked_in_the_band_and_nowhere_else(p: float, band: list[float]) -> None:
    dear = Scripted(0.25)
    found = judged(Scripted(p), dear, (band[0], band[1])).verdict
    inside = band[0] <= p <= band[1]
    assert (len(dear.asked), found.p_unsafe) == ((1, 0.25) if inside else (0, p))
    assert found.detail == (f"dear after cheap {p:.2f}" if inside else f"cheap {p:.2f}")


@pytest.mark.parametrize(("p", "asked"), [(0.2, 1), (math.nextafter(0.2, 0), 0), (0.8, 1), (math.nextafter(0.8, 1), 0)])
def test_both_ends_are_in_the_band(p: float, asked: int) -> None:
    dear = Scripted(0.0)
    judged(Scripted(p), dear)
    assert len(dear.asked) == asked


def test_a_cheap_score_that_stands_stands_whole() -> None:
    span = TextSpan(0, 4, "pii")
    cheap = Scripted(1.0, categories=("pii",), spans=(span,), detail="two rules")
    found = judged(cheap, Scripted(0.0), policy=Policy(action="redact")).verdict
    assert (found.action, found.categories, found.spans) == (Action.REDACT, ("pii",), (span,))
    assert found.detail == "cheap 1.00: two rules"


def test_spans_of_the_cheap_one_do_not_outvote_the_dear_one() -> None:
    found = judged(Scripted(0.5, spans=(TextSpan(0, 4, "pii"),)), Scripted(0.1, categories=("none",), detail="calm"))
    assert (found.verdict.action, found.verdict.spans, found.verdict.categories) == (Action.ALLOW, (), ("none",))
    assert found.verdict.detail == "dear after cheap 0.50: calm"


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("down"), Status.ERROR), (TimeoutError("slow"), Status.TIMEOUT), (Skipped("open"), Status.SKIPPED)],
)
@pytest.mark.parametrize("which", ["cheap", "dear"])
def test_a_failure_of_either_is_the_verdict_and_never_probably_safe(
    error: Exception, status: Status, which: str
) -> None:
    cheap = Scripted(0.25, error if which == "cheap" else None)
    found = judged(cheap, Scripted(0.0, error), policy=Policy(on_error="closed"))
    assert (found.verdict.status, found.verdict.action, found.verdict.p_unsafe) == (status, Action.BLOCK, None)


def test_no_probability_and_no_advice_is_not_sure() -> None:
    dear = Scripted(0.9)
    assert judged(Scripted(None), dear).verdict.detail == "dear after cheap without p"
    found = judged(Scripted(None, advice=Action.FLAG), Scripted(0.9))
    assert (found.verdict.action, found.verdict.detail) == (Action.FLAG, "cheap without p")


@pytest.mark.parametrize("p", [math.nan, -0.1, 1.5])
def test_an_impossible_probability_is_an_error_and_not_the_dear_ones_business(p: float) -> None:
    dear = Scripted(0.0)
    assert judged(Scripted(p), dear, (0.0, 1.0)).verdict.status is Status.ERROR
    assert dear.asked == []


def test_the_spans_cover_the_waiting_and_the_work_of_both() -> None:
    inner = Cascade(Scripted(0.5, queue_ms=3, work_ms=4), Scripted(0.5, queue_ms=5, work_ms=6))
    cascade = Cascade(inner, Scripted(0.0, queue_ms=7, work_ms=8))
    trace = Trace(now_ns)
    found = run_virtual(lambda: check(cascade, Subject("text"), Policy()))
    record_stages(trace, "g", found.score, critical=True)
    times = [(span.stage, (span.end_ns - span.start_ns) // MS) for span in trace.spans]
    queue, prefill = Stage.QUEUE, Stage.PREFILL
    assert times == [(queue, 3), (prefill, 4), (queue, 5), (prefill, 6), (queue, 7), (prefill, 8)]
    assert all(one.end_ns == next_.start_ns for one, next_ in zip(trace.spans, trace.spans[1:], strict=False))


def test_the_longest_match_is_the_larger_ones() -> None:
    assert Cascade(Scripted(0, max_match_chars=7), Scripted(0, max_match_chars=5)).max_match_chars == 7
    assert Cascade(Scripted(0, max_match_chars=5), Scripted(0, max_match_chars=7)).max_match_chars == 7


RULES = {"kind": "rules", "words": {"harm": ["bomb"]}, "pii": False}
EMBEDDING = {"kind": "embedding", "head": "answer"}


def config(scorer: dict[str, Any], **said: Any) -> InputClassifierConfig:
    return InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": scorer, **said})


def test_a_scenario_states_a_cascade_of_cascades_and_what_must_be_started_is() -> None:
    inner = {"kind": "cascade", "cascade": [RULES, EMBEDDING], "band": [0.5, 0.9]}
    stated = config({"kind": "cascade", "cascade": [inner, EMBEDDING]})
    assert [part.kind for part in parts(stated.scorer)] == ["cascade", "cascade", "rules", "embedding", "embedding"]

    async def verdict() -> tuple[str, float | None, float]:
        async with open_resources([stated]) as resources:
            guard = build_guard("mine", stated, resources)
            assert isinstance(guard, InputClassifier)
            request = GenerationRequest("r", (Message("user", "a bomb"),), Sampling(max_tokens=1), Trace())
            _ = [delta async for delta in stack(ModelledEngine(), [guard]).generate(request)]
            found = request.trace.verdicts[0].verdict
            return found.detail, found.p_unsafe, guard.policy.threshold

    assert asyncio.run(verdict()) == ("cheap 1.00: cheap 1.00", 1.0, load_head("answer").threshold)


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ({"cascade": [RULES, EMBEDDING], "band": [0.8, 0.2]}, "band: `band` is [0.8, 0.2]: put the lower end first"),
        ({"cascade": [RULES, EMBEDDING], "band": [0.2, 1.2]}, "less than or equal to 1"),
        ({"cascade": [RULES]}, "cascade.1: missing: add it"),
        ({"cascade": [RULES, {"kind": "embeding"}]}, "Input tag 'embeding' found"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, scorer: dict[str, Any], said: str) -> None:
    loaded = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    loaded["guards"] = {"mine": {"kind": "input-classifier", "scorer": {"kind": "cascade", **scorer}}}
    loaded.pop("arms", None)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(loaded))
    with pytest.raises(UserError) as caught:
        load_scenario(path)
    assert said in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_what_cannot_be_built_names_its_place_in_the_cascade() -> None:
    stated = config({"kind": "cascade", "cascade": [RULES, {"kind": "callable", "function": "math:sinn"}]})
    with pytest.raises(
        GuardConfigError, match=r"guards\.mine\.scorer\.cascade\.1\.function: module math has no `sinn`"
    ):
        build_guard("mine", stated)
