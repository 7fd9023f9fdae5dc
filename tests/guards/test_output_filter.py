"""The output filter: what gets out, wherever the chunks fall; and what stops."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from guards.check import Policy
from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.guard import Score
from guards.output_filter import CUT, REDACTED, OutputFilter
from guards.scorers.rules import RulesScorer, words_rule
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage

WORDS = ["a", "fish", "sword", "swordfish", "Swordfish,", "é", "\n"]
SECRET = RulesScorer((words_rule("secret", ["swordfish"]),))


@dataclass
class Pieces:
    """A generator that emits given pieces, one token each, and notes how far it was read."""

    pieces: list[str]
    emitted: list[str] = field(default_factory=list)
    closed_early: bool = False

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        try:
            for number, piece in enumerate(self.pieces, 1):
                await asyncio.sleep(0)
                self.emitted.append(piece)
                last = number == len(self.pieces)
                yield Delta(piece, 1, request.trace.now_ns(), finish_reason="stop" if last else None)
        except GeneratorExit:
            self.closed_early = True
            raise


def run(guard: OutputFilter, source: Pieces) -> tuple[list[Delta], GenerationRequest]:
    request = GenerationRequest("r", (Message("user", "p"),), Sampling())

    async def work() -> list[Delta]:
        return [delta async for delta in stack(source, [guard]).generate(request)]

    return asyncio.run(work()), request


def split(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted({c % (len(text) + 1) for c in cuts}), len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["a", "fish", "sword", "swordfish", "Swordfish,", "é", "\n"]), min_size=1, max_size=30
    ),
    cuts=st.lists(st.integers(0, 400), max_size=60),
    chunk_tokens=st.integers(1, 9),
    context_tokens=st.integers(0, 9),
)
def test_redaction_is_the_same_wherever_text_and_chunks_are_split(
    words: list[str], cuts: list[int], chunk_tokens: int, context_tokens: int
) -> None:
    text = " ".join(words)
    guard = OutputFilter(SECRET, Policy(action="redact"), chunk_tokens, context_tokens)
    pieces = split(text, cuts)
    deltas, _ = run(guard, Pieces(pieces))
    expected = SECRET.rules[0].pattern.sub(REDACTED, text)
    assert "".join(d.text for d in deltas) == expected
    assert sum(d.tokens for d in deltas) == len(pieces)
    assert [d.finish_reason for d in deltas if d.finish_reason] == ["stop"]


def test_nothing_unsafe_gets_out_and_the_source_is_closed() -> None:
    source = Pieces(["all ", "is ", "well ", "sword", "fish ", *["more "] * 500])
    deltas, _ = run(OutputFilter(SECRET, chunk_tokens=2), source)
    assert deltas[-1].text == CUT
    assert deltas[-1].finish_reason == "cut"
    assert "swordfish" not in "".join(d.text for d in deltas)
    assert len(source.emitted) < 100


def test_release_first_lets_text_through_and_stops_later() -> None:
    source = Pieces(["ok ", "swordfish ", *["more "] * 500])
    deltas, _ = run(OutputFilter(SECRET, chunk_tokens=4, release="first"), source)
    text = "".join(d.text for d in deltas)
    assert "swordfish" in text
    assert text.endswith(CUT)
    assert len(source.emitted) < 100


def test_a_clean_answer_is_delivered_whole_with_its_finish_reason() -> None:
    for release in ("after", "first"):
        deltas, request = run(OutputFilter(SECRET, chunk_tokens=3, release=release), Pieces(["w "] * 10))  # type: ignore[arg-type]
        assert "".join(d.text for d in deltas) == "w " * 10
        assert deltas[-1].finish_reason == "stop"
        assert sum(d.tokens for d in deltas) == 10
        held = [s for s in request.trace.spans if s.stage is Stage.HOLD_BACK]
        assert bool(held) == (release == "after")


def test_what_is_judged_stays_bounded_however_long_the_answer() -> None:
    seen: list[int] = []

    class Measuring:
        max_match_chars = 0

        async def score(self, subject: Subject) -> Score:
            seen.append(len(subject.text))
            return Score(0.0, 1, 1, 1)

    run(OutputFilter(Measuring(), chunk_tokens=4, context_tokens=8), Pieces(["word "] * 2000))
    # Room for what came in while a check was under way, and no more.
    assert max(seen[100:]) <= 2 * max(seen[5:100])
