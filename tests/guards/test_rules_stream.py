"""A stream is searched exactly: the spans are those that `finditer` finds in the whole text, however it comes."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from guards.scorers.rules import Rule
from guards.scorers.scan import RulesStream
from guards.scorers.streamable import Streamable, linear, streamable
from guards.verdict import TextSpan

TEXT = st.text("aabbA-\né", max_size=30)
CUTS = st.one_of(st.lists(st.integers(0, 400), max_size=40), st.just(list(range(40))))

_ATOMS = [
    "a",
    "b",
    "B",
    "[ab]",
    "[^a]",
    ".",
    r"\w",
    r"\W",
    "-",
    "[a-b]",
    r"(?s:.)",
    "(?i:ab)",
    "(?:ab|a)",
    "(?:a|ab|b-)",
]
_PLACES = [r"\b", r"\B", r"\Z", r"\A", "(?m:^)", "(?m:$)"]
_LOOKS = ["(?=a)", "(?!a)", "(?!ab|b)", "(?<!a)", "(?<=b)", "(?=ab)", r"(?<![\w-])"]
_TIMES = ["", "?", "{2}", "{0,2}", "{1,3}", "{2,4}", "??", "{1,3}?", "{2,3}?"]


def _pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def _patterns(zero_width: list[str]) -> st.SearchStrategy[str]:
    atom = st.builds("".join, st.tuples(st.sampled_from(_ATOMS), st.sampled_from(_TIMES)))
    step = st.one_of(atom, atom, st.sampled_from(zero_width))
    sequence = st.lists(step, min_size=1, max_size=4).map("".join)
    group = st.builds(
        lambda inner, times: f"(?:{'|'.join(inner)}){times}",
        st.lists(sequence, max_size=3, min_size=1),
        st.sampled_from(_TIMES),
    )
    whole = st.lists(st.one_of(sequence, group), min_size=1, max_size=3).map("".join)
    return whole.filter(lambda written: re.compile(written).fullmatch("") is None)


def streamed(rules: list[Rule], pieces: list[str]) -> list[TextSpan]:
    """The spans of a stream, and that each came before, and in the order in which, it was promised."""
    stream, found, length = RulesStream(rules), [], 0
    for number, piece in enumerate(pieces, 1):
        length += len(piece)
        before = stream.settled
        new = stream.feed(piece, final=number == len(pieces))
        assert before <= stream.settled <= length
        assert all(before <= span.start < stream.settled for span in new)
        found += new
    assert found == sorted(found, key=lambda s: (s.start, s.end, s.category))
    return found


def places(form: Streamable, pieces: list[str]) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in streamed([Rule("c", form)], pieces)]


def made(how: object, written: str) -> Streamable | None:
    try:
        return how(written)  # type: ignore[operator, no-any-return]
    except ValueError:
        return None


@settings(max_examples=300, deadline=None)
@given(written=_patterns(_PLACES + _LOOKS), text=TEXT, cuts=CUTS)
@example(written="a(?!ab|b)", text="aab aa", cuts=list(range(40)))
@example(written="(?:a|[^a]b)(?<=b)", text="AAbAA", cuts=[2])
def test_any_pattern_finds_in_a_stream_what_python_finds_in_the_text(written: str, text: str, cuts: list[int]) -> None:
    form = made(streamable, written)
    if form is not None:
        assert places(form, _pieces(text, cuts)) == [m.span() for m in re.finditer(written, text)]


@settings(max_examples=300, deadline=None)
@given(written=_patterns(_PLACES), text=TEXT.map(lambda text: text.replace("é", "_")), cuts=CUTS)
def test_a_users_pattern_finds_in_a_stream_what_python_finds_in_the_text(
    written: str, text: str, cuts: list[int]
) -> None:
    form = made(linear, written)
    if form is not None:
        assert places(form, _pieces(text, cuts)) == [m.span() for m in re.finditer(written, text)]


@settings(max_examples=200, deadline=None)
@given(written=st.lists(_patterns(_PLACES + _LOOKS), min_size=2, max_size=3), text=TEXT, cuts=CUTS)
def test_the_spans_of_several_rules_come_in_the_order_of_the_text(
    written: list[str], text: str, cuts: list[int]
) -> None:
    forms = [(form, pattern) for pattern in written if (form := made(streamable, pattern)) is not None]
    found = streamed([Rule(pattern, form) for form, pattern in forms], _pieces(text, cuts))
    expected = [(*m.span(), pattern) for _, pattern in forms for m in re.finditer(pattern, text)]
    assert [(span.start, span.end, span.category) for span in found] == sorted(expected)
