"""An input classifier that flags, rewrites or redacts: what the engine is asked, what is recorded, who waits."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guards.check import Policy
from guards.config import InputClassifierConfig, ParallelConfig, build_guard, check_members
from guards.generation import Delta, GenerationRequest, Generator, Message, Sampling
from guards.guard import Guard, Score
from guards.input_classifier import REFUSAL, InputClassifier
from guards.parallel import Parallel
from guards.prompt_edits import redacted, rewritten
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage, Trace
from guards.verdict import Action, TextSpan
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.records.record import Outcome
from profiler.trial import outcome_of

CHECK_NS = 200_000_000
ASKED = "a b c d e f"
BETTER = "x y z"
TURNS = (Message("system", "be kind"), Message("user", "my key is 123"), Message("assistant", "ok"))


@dataclass(frozen=True)
class Scripted:
    """Finds every text unsafe, and what else the test says."""

    rewritten: str | None = None
    spans: tuple[TextSpan, ...] = ()
    advice: Action | None = None
    max_match_chars: int = 0

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        await asyncio.sleep(CHECK_NS / 1e9)
        return Score(0.9, start_ns, start_ns, now_ns(), spans=self.spans, advice=self.advice, rewritten=self.rewritten)


@dataclass(frozen=True)
class Seen:
    """What the user got, and every conversation that the engine was asked to go on with."""

    deltas: list[Delta]
    trace: Trace
    asked: list[tuple[Message, ...]]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas).strip()

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.deltas[-1].finish_reason or "", self.trace)

    @property
    def actions(self) -> list[Action]:
        return [found.verdict.action for found in self.trace.verdicts]


@dataclass
class Echo:
    """A modelled engine that answers with the last turn, and notes what it was asked."""

    engine: Generator = field(
        default_factory=lambda: ModelledEngine(now_ns=now_ns, script=lambda request, _: request.messages[-1].content)
    )
    asked: list[tuple[Message, ...]] = field(default_factory=list)

    def generate(self, request: GenerationRequest):  # type: ignore[no-untyped-def]
        self.asked.append(request.messages)
        return self.engine.generate(request)


def run(guard: Guard, messages: tuple[Message, ...] = (Message("user", ASKED),)) -> Seen:
    async def work() -> Seen:
        echo = Echo()
        request = GenerationRequest("r", messages, Sampling(max_tokens=50), Trace(now_ns))
        deltas = [delta async for delta in stack(Tap(echo), [guard]).generate(request)]
        return Seen(deltas, request.trace, echo.asked)

    return run_virtual(work)


def guard(gating: str = "blocking", action: str = "block", **says: object) -> InputClassifier:
    return InputClassifier(Scripted(**says), Policy(action=action), gating)  # type: ignore[arg-type]


@pytest.mark.parametrize("gating", ["blocking", "speculative", "monitor"])
def test_flag_lets_the_prompt_pass_and_records_it(gating: str) -> None:
    seen = run(guard(gating, "flag"))
    assert (seen.text, seen.outcome) == (ASKED, Outcome.PASSED)
    if gating != "monitor":
        assert seen.actions == [Action.FLAG]


@pytest.mark.parametrize("gating", ["blocking", "speculative"])
def test_rewrite_asks_the_engine_with_the_scorers_wording(gating: str) -> None:
    seen = run(guard(gating, "rewrite", rewritten=BETTER), (*TURNS, Message("user", ASKED)))
    assert seen.text == BETTER
    assert seen.asked[-1] == (*TURNS, Message("user", BETTER))
    assert (seen.actions, seen.outcome) == ([Action.REWRITE], Outcome.PASSED)


@pytest.mark.parametrize("gating", ["blocking", "speculative"])
@pytest.mark.parametrize("action", ["rewrite", "redact"])
def test_with_nothing_to_put_in_its_place_the_prompt_is_blocked(gating: str, action: str) -> None:
    seen = run(guard(gating, action))
    assert (seen.text, seen.outcome, seen.actions) == (REFUSAL, Outcome.BLOCKED, [Action.BLOCK])


def test_a_scorer_may_ask_for_a_rewrite_itself() -> None:
    assert run(guard(rewritten=BETTER, advice=Action.REWRITE)).text == BETTER


@pytest.mark.parametrize("gating", ["blocking", "speculative"])
def test_redact_masks_the_spans_in_the_turns_where_they_are(gating: str) -> None:
    # "my key is 123\nand 45 too": the second span lies in the last turn.
    spans = (TextSpan(10, 13, "key"), TextSpan(18, 20, "key"))
    seen = run(guard(gating, "redact", spans=spans), (*TURNS, Message("user", "and 45 too")))
    assert [turn.content for turn in seen.asked[-1]] == ["be kind", "my key is [REDACTED]", "ok", "and [REDACTED] too"]
    assert (seen.actions, seen.outcome) == ([Action.REDACT], Outcome.REDACTED)


def test_a_speculative_rewrite_aborts_the_first_call_and_waits_for_the_check_in_full() -> None:
    seen = run(guard("speculative", "rewrite", rewritten=BETTER), (Message("user", "w " * 400),))
    first, second = seen.trace.engine_calls
    assert first.aborted and 0 < first.output_tokens < 50
    assert not second.aborted and second.output_tokens == 3
    verdict_ns = seen.trace.verdicts[0].at_ns
    assert first.ended_ns <= second.sent_ns and second.sent_ns >= verdict_ns
    assert min(delta.emitted_ns for delta in seen.deltas) > verdict_ns
    assert [(s.stage, s.end_ns - s.start_ns) for s in seen.trace.spans if s.critical] == [(Stage.PREFILL, CHECK_NS)]


def test_a_rewrite_to_the_same_words_does_not_start_again() -> None:
    seen = run(guard("speculative", "rewrite", rewritten=ASKED))
    assert (len(seen.trace.engine_calls), seen.text) == (1, ASKED)


def test_a_monitor_changes_nothing_and_does_not_say_that_it_did() -> None:
    long = (Message("user", "w " * 400),)
    watching = InputClassifier(Scripted(spans=(TextSpan(0, 1, "w"),), advice=Action.REDACT), gating="monitor")
    seen = run(watching, long)
    assert (seen.asked, seen.actions, seen.outcome) == ([long], [Action.FLAG], Outcome.PASSED)


def test_of_guards_that_judge_at_once_none_can_change_the_prompt() -> None:
    seen = run(Parallel((guard(rewritten=BETTER, advice=Action.REWRITE, action="flag"),)))
    assert (seen.text, seen.outcome) == (REFUSAL, Outcome.BLOCKED)
    assert seen.trace.verdicts[0].verdict.detail == "a parallel guard cannot rewrite the prompt."


def config(**said: object) -> InputClassifierConfig:
    return InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": {"kind": "rules"}, **said})


def test_a_scenario_states_the_action() -> None:
    built = build_guard("mine", config(action="redact"))
    seen = run(built, (Message("user", "mail me at jane@example.org"),))
    assert seen.text == "mail me at [REDACTED]"


@pytest.mark.parametrize("action", ["rewrite", "redact"])
def test_what_cannot_change_the_prompt_is_said(action: str) -> None:
    with pytest.raises(ValueError, match=f"`gating: monitor` cannot {action}"):
        config(gating="monitor", action=action)
    with pytest.raises(ValueError, match=f"names `a`, whose action is {action}: guards that judge at once can only"):
        check_members({"a": config(action=action), "p": ParallelConfig(kind="parallel", guards=["a"])})


_TURNS = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.text("abc\n", max_size=6)), max_size=5
)


@given(_TURNS, st.data())
def test_redacting_masks_all_of_the_spans_and_nothing_else(turns: list[Message], data: st.DataObject) -> None:
    text = "\n".join(turn.content for turn in turns if turn.role == "user")
    spans = []
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(text)))
        spans.append(TextSpan(start, data.draw(st.integers(start, len(text))), "c"))
    hidden = {i for span in spans for i in range(span.start, span.end)}
    kept, at = [], 0
    for turn in turns:
        if turn.role == "user":
            kept.append("".join(c for i, c in enumerate(turn.content, at) if i not in hidden))
            at += len(turn.content) + 1
        else:
            kept.append(turn.content)
    found = redacted(turns, spans)
    assert [turn.role for turn in found] == [turn.role for turn in turns]
    assert [turn.content.replace("[REDACTED]", "") for turn in found] == kept


@given(_TURNS, st.text("xyz", max_size=3))
def test_rewriting_changes_the_last_user_turn_only(turns: list[Message], text: str) -> None:
    found = rewritten(turns, text)
    changed = [i for i, (old, new) in enumerate(zip(turns, found, strict=True)) if old != new]
    last = [i for i, turn in enumerate(turns) if turn.role == "user"][-1:]
    assert changed in ([], last) and all(found[i].content == text for i in last)
