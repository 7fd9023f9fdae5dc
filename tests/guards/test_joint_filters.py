"""Neighbouring output filters judge one text together, each at its own pace (modelled engine, virtual time)."""

import asyncio
from dataclasses import dataclass, field

import pytest

from guards.check import Policy
from guards.generation import GenerationRequest, Message, Sampling
from guards.guard import Guard, Score
from guards.output_filter import CUT, REDACTED, OutputFilter
from guards.scorers.rules import RulesScorer, pattern_rule, words_rule
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage, Trace
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns, run_virtual
from tests.guards.answers import Pieces, run

TOKENS = 48
FISH = RulesScorer((words_rule("fish", ["swordfish"]),))
SOUP = RulesScorer((words_rule("soup", ["fish soup", "soup"]),))


@dataclass
class Slow:
    """Takes `takes_ms` of virtual time; unsafe where a window holds `bad`."""

    takes_ms: float
    bad: str = "bad"
    max_match_chars: int = 0
    seen: list[str] = field(default_factory=list)

    async def score(self, subject: Subject) -> Score:
        self.seen.append(subject.text)
        start_ns = now_ns()
        await asyncio.sleep(self.takes_ms / 1e3)
        return Score(float(self.bad in subject.text), start_ns, start_ns, now_ns())


@dataclass(frozen=True)
class Watched:
    """When each token reached the user (ns), the text, and the trace."""

    token_ns: list[int]
    text: str
    trace: Trace


def watch(*guards: Guard, script: str = "w " * TOKENS) -> Watched:
    async def work() -> Watched:
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(TOKENS), Trace(now_ns))
        engine = ModelledEngine(now_ns=now_ns, script=lambda request, index: script)
        token_ns, text = [], ""
        async for delta in stack(engine, guards).generate(request):
            token_ns += [now_ns()] * delta.tokens
            text += delta.text
        return Watched(token_ns, text, request.trace)

    return run_virtual(work)


def at(chunk_tokens: int, takes_ms: float, release: str = "after", bad: str = "bad", name: str = "") -> OutputFilter:
    return OutputFilter(Slow(takes_ms, bad), Policy(), chunk_tokens, 0, release, name or f"each {chunk_tokens}")  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [1, -1])
def test_a_filter_that_only_watches_does_not_pace_the_other(order: int) -> None:
    alone = watch(at(4, 3))
    together = watch(*[at(32, 200, "first"), at(4, 3)][::order])
    # Its last verdict is waited for before the end is told, but no text is.
    assert together.token_ns == alone.token_ns


@pytest.mark.parametrize("order", [1, -1])
def test_text_goes_out_when_the_later_of_two_has_passed_it(order: int) -> None:
    a, b = watch(at(6, 5)), watch(at(16, 30))
    together = watch(*[at(6, 5), at(16, 30)][::order])
    assert together.token_ns == [max(pair) for pair in zip(a.token_ns, b.token_ns, strict=True)]
    assert together.text == a.text


def test_each_judges_the_engines_text_in_its_own_chunks_under_its_own_name() -> None:
    quick, slow = at(6, 5), at(16, 30)
    together = watch(quick, slow)
    assert isinstance(quick.scorer, Slow) and isinstance(slow.scorer, Slow)
    assert (quick.scorer.seen, slow.scorer.seen) == (["w " * 6] * 8, ["w " * 16] * 3)
    names = [given.guard for given in together.trace.verdicts]
    assert (names.count("each 6"), names.count("each 16")) == (8, 3)
    assert {s.guard for s in together.trace.spans if s.stage is Stage.PREFILL} == {"each 6", "each 16"}


def test_text_is_held_back_once_under_the_name_of_who_let_it_go_last() -> None:
    held = [s for s in watch(at(6, 5), at(16, 30)).trace.spans if s.stage is Stage.HOLD_BACK]
    # Three chunks of the slower; the quicker's is the last only where its chunk fills later.
    assert {s.guard for s in held} == {"each 6", "each 16"}
    assert next(s.guard for s in held) == "each 16"
    ends = [s.end_ns for s in held]
    assert len(set(ends)) == len(ends)


def test_the_first_block_cuts_though_another_is_far_behind() -> None:
    script = "w " * 10 + "bad " + "w " * 37
    alone, together = watch(at(4, 3), script=script), watch(at(4, 3), at(32, 200, "first", "none"), script=script)
    assert alone.text == together.text == "w " * 8 + CUT
    held = watch(at(4, 3), at(32, 200, bad="none"), script=script)
    # Who holds text judges at once what stands before the cut, and no more is waited for.
    assert held.text == alone.text


def test_where_both_verdicts_come_at_once_no_more_goes_out_than_before_the_cut() -> None:
    script = "w " * 10 + "bad " + "w " * 37
    assert watch(at(16, 10, bad="none"), at(8, 10, "first"), script=script).text == "w " * 8 + CUT


def test_what_was_replaced_was_not_exposed() -> None:
    redact = OutputFilter(FISH, Policy(action="redact"), chunk_tokens="whole", name="redact")
    block = OutputFilter(RulesScorer((pattern_rule("end", "fish$"),)), chunk_tokens="whole", name="block")
    found = run(Pieces(["-Swordfish"]), redact, block)
    assert (found.text, found.trace.exposed_tokens) == (f"-{REDACTED}{CUT}", 0)


def test_marks_that_overlap_or_touch_are_one() -> None:
    policy = Policy(action="redact")
    a = OutputFilter(FISH, policy, chunk_tokens=1, name="a")
    b = OutputFilter(SOUP, policy, chunk_tokens=3, name="b")
    assert run(Pieces(["a sword", "fish", " soup", " b"]), a, b).text == f"a {REDACTED} {REDACTED} b"
    touching = OutputFilter(RulesScorer((pattern_rule("x", "sword"), pattern_rule("y", "fish"))), policy)
    for pieces in (["a sword", "fish b"], ["a sw", "ord", "f", "ish", " b"]):
        assert run(Pieces(pieces), touching).text == f"a {REDACTED} b"


def test_a_block_of_one_and_a_redaction_of_the_other() -> None:
    redact = OutputFilter(FISH, Policy(action="redact"), chunk_tokens=1, name="redact")
    block = OutputFilter(SOUP, chunk_tokens="whole", name="block")
    found = run(Pieces(["a ", "sword", "fish", " and ", "soup", " too"]), redact, block)
    assert found.text == f"a {REDACTED} and {CUT}"
    assert found.trace.exposed_tokens == 0


def test_a_quick_block_does_not_wait_for_a_whole_answer() -> None:
    quick, whole = (
        OutputFilter(FISH, chunk_tokens=1, name="quick"),
        OutputFilter(SOUP, chunk_tokens="whole", name="whole"),
    )
    source = Pieces(["a ", "sword", "fish", *[" more"] * 500])
    assert run(source, quick, whole).text == f"a {CUT}"
    assert len(source.emitted) < 20


def test_what_leaves_early_leaves_no_check_running() -> None:
    async def work() -> int:
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(TOKENS), Trace(now_ns))
        engine = ModelledEngine(now_ns=now_ns, script=lambda request, index: "w " * TOKENS)
        stream = stack(engine, [at(2, 1, name="a"), at(4, 10_000, "first", name="b")]).generate(request)
        await anext(aiter(stream))
        await stream.aclose()  # type: ignore[attr-defined]
        return len(asyncio.all_tasks())

    assert run_virtual(work) == 1
