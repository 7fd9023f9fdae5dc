"""The reranker round the modelled engine, in virtual time: which candidate answers, and what was asked for."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from guards.check import Policy
from guards.config import RefusalRerankerConfig, build_guard
from guards.generation import Delta, EngineDied, GenerationError, GenerationRequest, Message, Sampling
from guards.guard import Guard, Score
from guards.input_classifier import REFUSAL, InputClassifier
from guards.output_filter import OutputFilter
from guards.refusal_reranker import RefusalReranker
from guards.scorers.rules import RulesScorer, words_rule
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage, Trace
from guards.verdict import Action, Status, TextSpan, Verdict
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.records.record import Outcome
from profiler.trial import outcome_of

SEED = 700


@dataclass
class Judge:
    """Judges answers by their text: p(unsafe) and p(refusal), or an exception; a prompt is harmful to `harm`."""

    of: dict[str, Any] = field(default_factory=dict)
    harm: float = 0.0
    takes_s: float = 0.03
    asked: list[str] = field(default_factory=list)
    max_match_chars: int = 0

    async def score(self, subject: Subject) -> Score:
        self.asked.append(subject.side)
        start_ns = now_ns()
        await asyncio.sleep(self.takes_s)
        found = self.of.get(subject.text.strip(), 0.0) if subject.side == "answer" else self.harm
        if isinstance(found, Exception):
            raise found
        if isinstance(found, Score):
            return found
        p_unsafe, p_refusal = found if isinstance(found, tuple) else (found, 0.0)
        return Score(p_unsafe, start_ns, start_ns, now_ns(), p_refusal)


@dataclass(frozen=True)
class Seen:
    deltas: list[Delta]
    trace: Trace
    judge: Judge
    engine: ModelledEngine
    samplings: list[Sampling]

    @property
    def text(self) -> str:
        return "".join(d.text for d in self.deltas).strip()

    @property
    def verdicts(self) -> list[Verdict]:
        return [v.verdict for v in self.trace.verdicts if v.guard == "rerank"]

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.deltas[-1].finish_reason or "", self.trace)


@dataclass
class Noting:
    """Passes requests on and notes how they were to be sampled."""

    inner: Any
    samplings: list[Sampling] = field(default_factory=list)

    def generate(self, request: GenerationRequest) -> Any:
        self.samplings.append(request.sampling)
        return self.inner.generate(request)


def run(
    answers: Sequence[str],
    judge: Judge | None = None,
    *,
    policy: Policy | None = None,
    sampling: Sampling | None = None,
    fail: Callable[[GenerationRequest], Exception | None] = lambda request: None,
    inside: Sequence[Guard] = (),
    **stated: Any,
) -> Seen:
    """A request whose candidate of the k-th seed says `answers[k]`."""
    judge = judge or Judge()

    async def work() -> Seen:
        engine = ModelledEngine(
            now_ns=now_ns, fail=fail, script=lambda request, index: answers[request.sampling.seed - SEED + index]
        )
        noting = Noting(engine)
        guard = RefusalReranker(judge, judge, policy=policy or Policy(), **{"n": len(answers), **stated})
        request = GenerationRequest(
            "r", (Message("user", "p"),), sampling or Sampling(max_tokens=9, seed=SEED), Trace(now_ns)
        )
        deltas = [d async for d in stack(Tap(noting), [guard, *inside]).generate(request)]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert engine.counters().running == engine.counters().waiting == 0
        return Seen(deltas, request.trace, judge, engine, noting.samplings)

    return run_virtual(work)


MODES = pytest.mark.parametrize("mode", ["best-of-n", "sequential"])
ONE, TWO, THREE = "one 1", "two 2 2", "three 3 3 3"


def test_sequential_stops_at_the_first_candidate_that_passes() -> None:
    seen = run([ONE, TWO, THREE], Judge({ONE: 0.9}), mode="sequential")
    assert (seen.text, seen.trace.chosen_candidate, seen.outcome) == (TWO, 1, Outcome.RERANKED)
    assert [s.seed - SEED for s in seen.samplings] == [0, 1]
    assert [v.action for v in seen.verdicts] == [Action.BLOCK, Action.ALLOW]
    assert sum(c.output_tokens for c in seen.trace.engine_calls) == 2 + 3


def test_step_candidates_are_asked_for_at_a_time_and_the_best_of_the_step_answers() -> None:
    judge = Judge({ONE: 0.9, TWO: 0.8, THREE: 0.3, "four": 0.2, "five": 0.0})
    seen = run([ONE, TWO, THREE, "four", "five"], judge, mode="sequential", step=2)
    assert [(s.seed - SEED, s.n) for s in seen.samplings] == [(0, 2), (2, 2)]
    assert (seen.text, seen.trace.chosen_candidate) == ("four", 3)
    last = run([ONE, TWO, THREE], Judge({ONE: 0.9, TWO: 0.9}), mode="sequential", step=2)
    assert [(s.seed - SEED, s.n) for s in last.samplings] == [(0, 2), (2, 1)]
    assert last.text == THREE


def test_accept_utility_goes_on_for_a_better_one_and_settles_for_the_best() -> None:
    judge = Judge({ONE: 0.4, TWO: 0.1, THREE: 0.3})
    assert run([ONE, TWO, THREE], judge, mode="sequential", accept_utility=-0.2).text == TWO
    in_vain = run([ONE, TWO, THREE], judge, mode="sequential", accept_utility=0.0)
    assert (in_vain.text, in_vain.trace.chosen_candidate, len(in_vain.verdicts)) == (TWO, 1, 3)


def test_a_harmful_prompt_turns_the_choice_towards_refusing() -> None:
    of = {ONE: (0.0, 0.0), TWO: (0.0, 1.0)}
    assert run([ONE, TWO], Judge(of, harm=0.1)).text == ONE
    assert run([ONE, TWO], Judge(of, harm=0.9)).text == TWO
    # Seen by nobody as a block: the harm check only weighs.
    assert run([ONE, TWO], Judge(of, harm=0.9)).outcome is Outcome.RERANKED


@MODES
def test_over_the_threshold_all_of_them_the_canned_refusal_answers(mode: str) -> None:
    seen = run([ONE, TWO], Judge({ONE: 0.9, TWO: 0.8}), mode=mode)
    assert [(d.text, d.finish_reason) for d in seen.deltas] == [(REFUSAL, "blocked")]
    assert (seen.outcome, len(seen.verdicts)) == (Outcome.BLOCKED, 2)


@settings(max_examples=40, deadline=None)
@given(
    p_unsafe=st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]), min_size=1, max_size=6),
    step=st.integers(1, 4),
    accept=st.none() | st.sampled_from([-0.5, -0.3, 0.0]),
)
def test_both_modes_see_the_same_candidates_and_choose_by_the_same_rule(
    p_unsafe: list[float], step: int, accept: float | None
) -> None:
    answers = [f"answer {i}" for i in range(len(p_unsafe))]
    judge = Judge(dict(zip(answers, p_unsafe, strict=True)))
    some = run(answers, judge, mode="sequential", step=step, accept_utility=accept)
    # As stated: whole steps up to the first with one that passes, then the best of all that were seen.
    enough = [p < 0.5 and (accept is None or -p >= accept) for p in p_unsafe]
    steps = next((i // step + 1 for i, good in enumerate(enough) if good), -(-len(answers) // step))
    asked = min(steps * step, len(answers))
    assert [v.p_unsafe for v in some.verdicts] == p_unsafe[:asked]
    allowed = [p for p in p_unsafe[:asked] if p < 0.5]
    if not allowed:
        assert some.text == REFUSAL
        return
    assert some.trace.chosen_candidate == p_unsafe.index(min(allowed))
    assert some.text == answers[some.trace.chosen_candidate]
    # The docstring's way to the chosen candidate's verdict.
    assert some.verdicts[some.trace.chosen_candidate].p_unsafe == min(allowed)


def test_without_a_script_too_a_candidates_text_is_its_seeds() -> None:
    async def texts(mode: Any, step: int) -> list[str]:
        engine, seen = ModelledEngine(now_ns=now_ns, seed=3), []

        class Refuses(Judge):
            async def score(self, subject: Subject) -> Score:
                seen.append(subject.text)
                return Score(1.0, now_ns(), now_ns(), now_ns())

        guard = RefusalReranker(Refuses(), Judge(), n=5, mode=mode, step=step)
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(max_tokens=9, seed=SEED), Trace(now_ns))
        async for _ in guard.generate(request, engine):
            pass
        return seen

    best = run_virtual(lambda: texts("best-of-n", 1))
    assert len(set(best)) == 5
    assert run_virtual(lambda: texts("sequential", 1)) == best
    assert run_virtual(lambda: texts("sequential", 2)) == best


@MODES
@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_one_candidate_is_a_filter_and_is_sampled_as_the_request_says(mode: str, temperature: float) -> None:
    sampling = Sampling(max_tokens=9, seed=SEED, temperature=temperature)
    seen = run([ONE], sampling=sampling, mode=mode)
    assert seen.samplings == [sampling]
    assert (seen.text, seen.outcome, seen.judge.asked) == (ONE, Outcome.PASSED, ["answer"])
    refused = run([ONE], Judge({ONE: 0.9}), sampling=sampling, mode=mode)
    assert (refused.text, refused.samplings) == (REFUSAL, [sampling])


def test_several_candidates_are_sampled_at_the_guards_temperature() -> None:
    for mode in ("best-of-n", "sequential"):
        assert {s.temperature for s in run([ONE, TWO], temperature=0.7, mode=mode).samplings} == {0.7}


def test_the_prompt_is_judged_where_candidates_are_compared_and_only_there() -> None:
    assert run([ONE, TWO]).judge.asked.count("prompt") == 1
    assert run([ONE, TWO], mode="sequential").judge.asked.count("prompt") == 0
    assert run([ONE, TWO], mode="sequential", step=2).judge.asked.count("prompt") == 1
    assert run([ONE, TWO], mode="sequential", accept_utility=0.0).judge.asked.count("prompt") == 1


# A judge that fails.


@MODES
def test_a_judge_that_fails_on_one_candidate_leaves_the_others_to_choose_among(mode: str) -> None:
    failing = Judge({ONE: ValueError("boom"), TWO: 0.4, THREE: 0.9})
    for on_error in ("open", "closed"):
        seen = run([ONE, TWO, THREE], failing, policy=Policy(on_error=on_error), mode=mode)  # type: ignore[arg-type]
        assert (seen.text, seen.trace.chosen_candidate) == (TWO, 1)
        assert seen.verdicts[0].status is Status.ERROR


@MODES
def test_when_every_judgement_fails_open_shows_the_first_and_closed_refuses_as_an_error(mode: str) -> None:
    failing = Judge({ONE: ValueError("boom"), TWO: float("nan")})
    opened = run([ONE, TWO], failing, mode=mode)
    assert (opened.text, opened.trace.chosen_candidate, opened.outcome) == (ONE, 0, Outcome.PASSED)
    closed = run([ONE, TWO], failing, policy=Policy(on_error="closed"), mode=mode)
    assert (closed.text, closed.outcome) == (REFUSAL, Outcome.ERROR)
    assert [v.status for v in closed.verdicts] == [Status.ERROR, Status.ERROR]


def test_a_harmful_prompt_does_not_make_a_judgement_of_failed_ones() -> None:
    failing = Judge({ONE: ValueError("boom"), TWO: ValueError("boom")}, harm=1.0)
    assert run([ONE, TWO], failing, policy=Policy(on_error="closed")).outcome is Outcome.ERROR


@pytest.mark.parametrize("advice", [Action.REDACT, Action.REWRITE])
def test_a_candidate_that_should_be_changed_is_not_shown_as_it_is(advice: Action) -> None:
    changed = Score(0.1, 1, 1, 1, spans=(TextSpan(0, 3, "pii"),), advice=advice, rewritten="***")
    assert run([ONE, TWO], Judge({ONE: changed, TWO: 0.4})).text == TWO
    seen = run([ONE], Judge({ONE: changed}))
    assert (seen.text, seen.outcome) == (REFUSAL, Outcome.BLOCKED)


# An engine that fails.


def fails_at(*places: int, error: Callable[[str], Exception] = GenerationError) -> Any:
    return lambda request: error("no") if request.sampling.seed - SEED in places else None


def test_a_candidate_that_the_engine_fails_is_passed_over() -> None:
    seen = run([ONE, TWO, THREE], Judge({TWO: 0.9}), mode="sequential", fail=fails_at(0))
    assert (seen.text, seen.trace.chosen_candidate, seen.outcome) == (THREE, 2, Outcome.RERANKED)
    assert [v.status for v in seen.verdicts] == [Status.SKIPPED, Status.OK, Status.OK]
    refused = run([ONE, TWO], Judge({TWO: 0.9}), mode="sequential", fail=fails_at(0))
    assert (refused.text, refused.outcome) == (REFUSAL, Outcome.BLOCKED)


@MODES
def test_an_engine_that_finishes_none_fails_the_request_with_its_own_words(mode: str) -> None:
    with pytest.raises(GenerationError, match="no"):
        run([ONE, TWO], mode=mode, fail=fails_at(0, 1))


@MODES
def test_a_dead_engine_is_not_asked_again(mode: str) -> None:
    with pytest.raises(EngineDied):
        run([ONE, TWO], mode=mode, fail=fails_at(0, error=EngineDied))


class Odd:
    """A generator of given deltas, which may then fail."""

    def __init__(self, deltas: Sequence[Delta], error: Exception | None = None) -> None:
        self.deltas, self.error = deltas, error

    async def generate(self, request: GenerationRequest) -> Any:
        for delta in self.deltas:
            yield delta
        if self.error is not None:
            raise self.error


def answer_of(inner: Odd, n: int, judge: Judge | None = None) -> tuple[list[Delta], Trace]:
    async def work() -> tuple[list[Delta], Trace]:
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(), Trace(now_ns))
        guard = RefusalReranker(judge or Judge(), Judge(), n=n)
        return [d async for d in guard.generate(request, inner)], request.trace

    return run_virtual(work)


def piece(text: str, index: int, finish: Any = "stop") -> Delta:
    return Delta(text, 1, 1_000_000_000, index, finish)


@pytest.mark.parametrize("broken", [[piece("b", 0, "abort")], [piece("b", 0, "cut")], [piece("b", 0, None)], []])
@pytest.mark.parametrize("error", [None, GenerationError("no")])
def test_of_one_call_the_finished_candidates_are_chosen_among(broken: list[Delta], error: Exception | None) -> None:
    deltas, trace = answer_of(Odd([*broken, piece("good", 1)], error), 2)
    assert ([d.text for d in deltas], trace.chosen_candidate) == (["good"], 1)
    assert [v.verdict.status for v in trace.verdicts if v.guard == "rerank"] == [Status.SKIPPED, Status.OK]


@pytest.mark.parametrize(
    "deltas", [[], [piece("b", 0, None)], [piece("b", 0, "abort"), piece("c", 1, "abort")], [piece("b", 7)]]
)
def test_no_candidate_at_all_is_the_engines_failure(deltas: list[Delta]) -> None:
    with pytest.raises(GenerationError):
        answer_of(Odd(deltas), 2)


def test_candidates_that_a_guard_inside_cuts_are_passed_over() -> None:
    rules = OutputFilter(RulesScorer((words_rule("w", ["two"]),)), chunk_tokens=1)
    seen = run([TWO, THREE], mode="sequential", inside=[rules])
    assert (seen.text, seen.trace.chosen_candidate) == (THREE, 1)
    all_cut = run([TWO, TWO], mode="sequential", inside=[rules])
    assert (all_cut.text, all_cut.outcome) == (REFUSAL, Outcome.BLOCKED)


@MODES
def test_the_refusal_of_a_guard_inside_is_the_answer(mode: str) -> None:
    inside = InputClassifier(Judge(harm=1.0), refusal="not this", name="inside")
    seen = run([ONE, TWO], mode=mode, inside=[inside])
    assert (seen.text, seen.deltas[-1].finish_reason, seen.outcome) == ("not this", "blocked", Outcome.BLOCKED)
    assert seen.trace.engine_calls == []


# Leaving.


@MODES
@pytest.mark.parametrize("after_s", [0.005, 0.2, 0.5, 1.0])
def test_leaving_ends_the_engines_work_at_once(mode: Any, after_s: float) -> None:
    """In whichever phase: before the first token, in mid-candidate, while judges think."""

    async def work() -> None:
        engine = ModelledEngine(now_ns=now_ns)
        guard = RefusalReranker(Judge(takes_s=0.2), Judge(takes_s=5.0), n=4, mode=mode, accept_utility=1.0)
        request = GenerationRequest(
            "r", (Message("user", "p"),), Sampling(max_tokens=20, ignore_eos=True), Trace(now_ns)
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(after_s):
                await anext(stack(Tap(engine), [guard]).generate(request))
        made = engine.counters().generation_tokens
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert engine.counters().running == engine.counters().waiting == 0
        await asyncio.sleep(100)
        assert engine.counters().generation_tokens == made

    run_virtual(work)


@MODES
def test_a_guard_outside_that_blocks_ends_it_too(mode: Any) -> None:
    async def work() -> Seen:
        engine = ModelledEngine(now_ns=now_ns)
        outside = InputClassifier(Judge(harm=1.0, takes_s=0.3), gating="speculative")
        guard = RefusalReranker(Judge(), Judge(takes_s=5.0), n=4, mode=mode)
        request = GenerationRequest(
            "r", (Message("user", "p"),), Sampling(max_tokens=99, ignore_eos=True), Trace(now_ns)
        )
        deltas = [d async for d in stack(Tap(engine), [outside, guard]).generate(request)]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        made = engine.counters().generation_tokens
        await asyncio.sleep(100)
        assert engine.counters().generation_tokens == made < 4 * 99
        return Seen(deltas, request.trace, Judge(), engine, [])

    seen = run_virtual(work)
    assert (seen.text, seen.outcome) == (REFUSAL, Outcome.BLOCKED)
    assert [call.aborted for call in seen.trace.engine_calls] == [True]


# What a scenario states.


def test_a_scenario_states_it() -> None:
    rules = {"kind": "rules"}
    stated = {
        "kind": "refusal-reranker", "mode": "sequential", "n": 6, "step": 2, "accept_utility": -0.1,
        "scorer": rules, "harm": rules,
    }  # fmt: skip
    guard = build_guard("mine", RefusalRerankerConfig.model_validate(stated))
    assert isinstance(guard, RefusalReranker)
    assert (guard.mode, guard.n, guard.step, guard.accept_utility) == ("sequential", 6, 2, -0.1)
    plain = build_guard(
        "mine", RefusalRerankerConfig.model_validate({"kind": "refusal-reranker"} | {"scorer": rules, "harm": rules})
    )
    assert isinstance(plain, RefusalReranker) and plain.mode == "best-of-n"
    greedy = RefusalRerankerConfig.model_validate({"kind": "refusal-reranker", "n": 1, "temperature": 0})
    assert RefusalRerankerConfig.model_validate(greedy.model_dump()) == greedy


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"step": 2}, "`step` needs `mode: sequential`"),
        ({"accept_utility": 0.5}, "`accept_utility` needs `mode: sequential`"),
        ({"mode": "sequential", "n": 2, "temperature": 0}, "`n` over 1 needs a `temperature` over 0"),
        ({"mode": "sequential", "accept_utility": float("nan")}, "finite"),
        ({"mode": "mini"}, "best-of-n"),
    ],
)
def test_what_cannot_be_meant_is_refused(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RefusalRerankerConfig.model_validate({"kind": "refusal-reranker", **stated})


def test_what_the_user_waited_for_is_written_down() -> None:
    seen = run([ONE, TWO, THREE], Judge({ONE: 0.9}), mode="sequential")
    first, second = seen.trace.engine_calls
    found = {(s.stage, s.start_ns, s.end_ns) for s in seen.trace.spans if s.critical}
    assert (Stage.CANDIDATES, first.sent_ns, second.sent_ns) in found
    assert (Stage.HOLD_BACK, second.first_ns, second.last_ns) in found
    assert {(s, e) for stage, s, e in found if stage is Stage.SCORING} == {
        (first.ended_ns, second.sent_ns),
        (second.ended_ns, seen.trace.verdicts[-1].at_ns),
    }
