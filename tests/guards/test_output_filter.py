"""The output filter: what gets out, when it stops, and how much of the unsafe had got out by then."""

import asyncio
import re
from dataclasses import dataclass, field

import pytest

from guards.check import Policy
from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.guard import Score
from guards.output_filter import CUT, REDACTED, OutputFilter
from guards.refusal_reranker import RefusalReranker
from guards.scorers.builtin_rules import PERSONAL
from guards.scorers.rules import RulesScorer, pattern_rule, words_rule
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage, Trace
from guards.verdict import Action, Status, TextSpan, Verdict
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns, run_virtual
from tests.guards.answers import Pieces, run

SECRET = RulesScorer((words_rule("secret", ["swordfish"]),))


@dataclass
class Windows:
    """Judges windows: unsafe where one holds `bad`, of which it gives the place if told to. Notes what it saw."""

    bad: str = "bad"
    max_match_chars: int = 0
    error: Exception | None = None
    rewritten: str | None = None
    seen: list[str] = field(default_factory=list)

    async def score(self, subject: Subject) -> Score:
        self.seen.append(subject.text)
        await asyncio.sleep(0)
        if self.error is not None and self.bad in subject.text:
            raise self.error
        at = subject.text.find(self.bad)
        spans = (TextSpan(at, at + len(self.bad), "bad"),) if at >= 0 and self.max_match_chars else ()
        return Score(float(at >= 0), 1, 1, 1, spans=spans, rewritten=self.rewritten)


def test_a_window_that_begins_in_mid_word_makes_no_word() -> None:
    (words,) = (RulesScorer((words_rule("word", ["ass"]),)),)
    guard = OutputFilter(words, Policy(action="redact"), chunk_tokens=1, context_tokens=0)
    assert run(Pieces(["a compass ", "of ", "brass"]), guard).text == "a compass of brass"


@pytest.mark.parametrize("release", ["first", "after"])
def test_a_match_longer_than_chunk_and_context_is_found(release: str) -> None:
    keys = RulesScorer((pattern_rule("key", r"sk-[a-z]{16,64}"),))
    guard = OutputFilter(keys, chunk_tokens=1, context_tokens=0, release=release)  # type: ignore[arg-type]
    found = run(Pieces(["x ", "sk-", "abcdefgh", "ijklmnop", "qrst", " end ", "of it"]), guard)
    assert found.finish_reasons == ["cut"]
    assert (found.text == f"x {CUT}") == (release == "after")


def test_a_span_that_is_found_first_need_not_be_the_first() -> None:
    rules = RulesScorer((words_rule("word", ["ass"]), PERSONAL[0]))
    # "ass" is over at the @, the address that begins before it is not.
    found = run(Pieces(list("mail s-ass@x.yy now")), OutputFilter(rules, chunk_tokens=1))
    assert found.text == f"mail {CUT}"
    (verdict,) = [verdict for verdict in found.verdicts("output") if verdict.action is Action.BLOCK]
    assert verdict.spans == (TextSpan(5, 15, "email"),)


@pytest.mark.parametrize("chunk_tokens", [1, 2, 5])
def test_a_span_of_a_window_that_may_still_change_is_waited_for(chunk_tokens: int) -> None:
    class Bad:
        max_match_chars = 6

        async def score(self, subject: Subject) -> Score:
            spans = tuple(TextSpan(*m.span(), "bad") for m in re.finditer("bad(?!ge)", subject.text))
            return Score(float(bool(spans)), 1, 1, 1, spans=spans)

    guard = OutputFilter(Bad(), Policy(action="redact"), chunk_tokens, context_tokens=0)
    assert run(Pieces(["a bad", "ge, a b", "ad", " o", "ne"]), guard).text == f"a badge, a {REDACTED} one"


def test_nothing_unsafe_gets_out_and_the_source_is_closed() -> None:
    source = Pieces(["all ", "is ", "well ", "sword", "fish ", *["more "] * 500])
    found = run(source, OutputFilter(SECRET, chunk_tokens=2))
    assert found.text == f"all is well {CUT}"
    assert found.finish_reasons == ["cut"]
    assert len(source.emitted) < 100
    assert source.closed_early
    assert found.trace.exposed_tokens == 0


def test_release_first_lets_text_through_and_says_how_much_of_it_was_unsafe() -> None:
    source = Pieces(["ok ", "swordfish ", *["more "] * 500])
    found = run(source, OutputFilter(SECRET, chunk_tokens=4, release="first"))
    assert found.text == f"ok swordfish more more {CUT}"
    assert found.trace.exposed_tokens == 3
    assert len(source.emitted) < 100


def test_a_span_that_reaches_back_counts_what_had_gone_out_of_it() -> None:
    found = run(Pieces(["ok ", "sword", "fish", " ", "more"]), OutputFilter(SECRET, chunk_tokens=1, release="first"))
    assert found.text == f"ok swordfish {CUT}"
    assert found.trace.exposed_tokens == 3


def test_of_windows_only_the_chunk_that_tipped_it_counts() -> None:
    pieces = ["a ", "b ", "ba", "c ", "d ", "bad ", *["more "] * 50]
    found = run(Pieces(pieces), OutputFilter(Windows(), chunk_tokens=2, release="first"))
    assert found.text.startswith("a b bac d bad ") and found.text.endswith(CUT)
    shown = sum(delta.tokens for delta in found.deltas)
    assert found.trace.exposed_tokens == shown - 4
    held = run(Pieces(pieces), OutputFilter(Windows(), chunk_tokens=2))
    assert (held.text, held.trace.exposed_tokens) == (f"a b bac {CUT}", 0)


def test_a_window_whose_span_reaches_back_counts_that_too() -> None:
    guard = OutputFilter(Windows("bad", max_match_chars=1), chunk_tokens=1, context_tokens=3)
    found = run(Pieces(["a ", "b", "a", "d", " e", " f"]), guard)
    assert found.text == f"a b{CUT}"
    assert found.trace.exposed_tokens == 1


@pytest.mark.parametrize("release", ["after", "first"])
@pytest.mark.parametrize("scorer", [SECRET, Windows()])
def test_a_clean_answer_is_delivered_whole_with_its_finish_reason(scorer: RulesScorer | Windows, release: str) -> None:
    guard = OutputFilter(scorer, chunk_tokens=3, release=release)  # type: ignore[arg-type]
    found = run(Pieces(["w "] * 10), guard)
    assert (found.text, found.tokens, found.finish_reasons) == ("w " * 10, 10, ["stop"])
    assert found.deltas[-1].finish_reason == "stop"
    held = [span for span in found.trace.spans if span.stage is Stage.HOLD_BACK]
    assert bool(held) == (release == "after")
    assert found.trace.exposed_tokens == 0


def test_what_is_judged_stays_bounded_however_long_the_answer() -> None:
    windows = Windows()
    run(Pieces(["word "] * 2000), OutputFilter(windows, chunk_tokens=4, context_tokens=8))
    assert {len(text) for text in windows.seen[5:]} == {12 * len("word ")}


def test_a_flag_lets_everything_pass_and_is_recorded() -> None:
    found = run(Pieces(["a ", "swordfish ", "b"]), OutputFilter(SECRET, Policy(action="flag"), chunk_tokens=1))
    assert (found.text, found.finish_reasons) == ("a swordfish b", ["stop"])
    assert found.spans("output", Action.FLAG) == {TextSpan(2, 11, "secret")}


def test_the_whole_answer_is_judged_once_and_delivered_at_once() -> None:
    windows = Windows()
    found = run(Pieces(["w "] * 5), OutputFilter(windows, chunk_tokens="whole"))
    assert windows.seen == ["w " * 5]
    assert [(d.text, d.tokens, d.finish_reason) for d in found.deltas] == [("w " * 5, 5, "stop")]


def test_a_rewritten_answer_takes_the_place_of_the_whole() -> None:
    windows = Windows(rewritten="better")
    found = run(Pieces(["a ", "bad ", "w"]), OutputFilter(windows, Policy(action="rewrite"), chunk_tokens="whole"))
    assert [(d.text, d.tokens, d.finish_reason) for d in found.deltas] == [("better", 3, "stop")]
    assert found.verdicts("output")[-1].action is Action.REWRITE


def test_a_chunk_cannot_be_rewritten_so_the_answer_stops() -> None:
    windows = Windows(rewritten="better")
    found = run(Pieces(["a ", "bad ", "w"]), OutputFilter(windows, Policy(action="rewrite"), chunk_tokens=1))
    assert found.text == f"a {CUT}"
    assert found.verdicts("output")[-1].action is Action.BLOCK


def test_a_filter_that_rewrites_is_judged_by_those_outside_it() -> None:
    inner = OutputFilter(Windows(rewritten="a swordfish"), Policy(action="rewrite"), chunk_tokens="whole", name="inner")
    outer = OutputFilter(SECRET, Policy(action="redact"), name="outer")
    assert run(Pieces(["a ", "bad ", "w"]), outer, inner).text == f"a {REDACTED}"


@pytest.mark.parametrize("release", ["after", "first"])
@pytest.mark.parametrize("on_error", ["open", "closed"])
def test_a_failed_check_lets_pass_or_cuts_and_exposes_nothing_known(release: str, on_error: str) -> None:
    policy = Policy(on_error=on_error)  # type: ignore[arg-type]
    scorer = Windows(error=ValueError("no idea"))
    guard = OutputFilter(scorer, policy, chunk_tokens=1, context_tokens=0, release=release)  # type: ignore[arg-type]
    found = run(Pieces(["a ", "bad ", "c "]), guard)
    assert found.finish_reasons == ["stop" if on_error == "open" else "cut"]
    assert found.text.startswith("a bad c " if on_error == "open" else "a ")
    assert [v.status for v in found.verdicts("output") if v.status is not Status.OK] == [Status.ERROR]
    assert found.trace.exposed_tokens == 0


@dataclass(frozen=True)
class Fragile:
    """Finds spans in a stream, and fails over `bad`."""

    max_match_chars: int = 9

    def stream(self) -> "Fragile.Stream":
        return Fragile.Stream()

    async def score(self, subject: Subject) -> Score:
        raise NotImplementedError

    class Stream:
        """Every digit is a span."""

        settled = 0

        def feed(self, text: str, *, final: bool) -> tuple[TextSpan, ...]:
            if "bad" in text:
                raise ValueError("bad")
            start, self.settled = self.settled, self.settled + len(text)
            return tuple(TextSpan(start + at, start + at + 1, "digit") for at, c in enumerate(text) if c.isdigit())


def test_a_stream_that_fails_is_begun_anew_after_what_it_failed_over() -> None:
    guard = OutputFilter(Fragile(), Policy(action="redact"), chunk_tokens=1)
    found = run(Pieces(["a1 ", "bad2 ", "c3"]), guard)
    assert found.text == f"a{REDACTED} bad2 c{REDACTED}"
    assert [v.status for v in found.verdicts("output")] == [Status.OK, Status.ERROR, Status.OK]
    closed = OutputFilter(Fragile(), Policy(on_error="closed"), chunk_tokens=1)
    assert run(Pieces(["a ", "bad ", "c"]), closed).text == f"a {CUT}"


def test_a_check_that_hangs_is_given_up() -> None:
    class Hangs:
        max_match_chars = 0

        async def score(self, subject: Subject) -> Score:
            await asyncio.Event().wait()
            raise AssertionError

    async def work(release: str) -> tuple[str, list[Verdict]]:
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(8, ignore_eos=True), Trace(now_ns))
        engine = ModelledEngine(now_ns=now_ns, script=lambda request, index: "w " * 8)
        guard = OutputFilter(Hangs(), Policy(timeout_ms=20, on_error="closed"), 4, release=release)  # type: ignore[arg-type]
        deltas = [delta async for delta in stack(engine, [guard]).generate(request)]
        return "".join(d.text for d in deltas), [v.verdict for v in request.trace.verdicts]

    for release, text in (("after", CUT), ("first", "w w w w w w" + CUT)):
        shown, verdicts = run_virtual(lambda release=release: work(release))  # type: ignore[misc]
        assert shown.replace(" ", "") == text.replace(" ", "")
        assert [v.status for v in verdicts] == [Status.TIMEOUT]


def test_candidates_are_filtered_each_by_itself() -> None:
    texts = ["a fine one " * 3, "swordfish " * 6]

    async def work() -> list[Delta]:
        engine = ModelledEngine(now_ns=now_ns, script=lambda request, index: texts[index])
        rerank = RefusalReranker(SECRET, SECRET, n=2)
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(20), Trace(now_ns))
        return [
            delta async for delta in stack(engine, [rerank, OutputFilter(SECRET, chunk_tokens=2)]).generate(request)
        ]

    (delta,) = run_virtual(work)
    assert delta.text == texts[0]


def test_an_engine_that_ends_without_saying_so_loses_no_text() -> None:
    class Silent(Pieces):
        async def generate(self, request: GenerationRequest):  # type: ignore[no-untyped-def, override]
            for piece in self.pieces:
                yield Delta(piece, 1, 1)

    for scorer in (SECRET, Windows()):
        assert run(Silent(["a ", "b "]), OutputFilter(scorer)).text == "a b "
