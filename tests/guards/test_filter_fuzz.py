"""However an answer is split, and whenever it is judged: the verdict and the text that are the whole answer's."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from guards.check import Policy
from guards.output_filter import CUT, REDACTED, OutputFilter
from guards.scorers.builtin_rules import PERSONAL
from guards.scorers.rules import RulesScorer, pattern_rule, words_rule
from guards.scorers.scan import Rule
from guards.scorers.streamable import streamable
from guards.verdict import Action, TextSpan
from tests.guards.answers import Delivered, Pieces, run, split

# Each rule with the pattern of `re` that says what it should find. They overlap, touch, and begin each other.
RULES: tuple[tuple[Rule, str], ...] = (
    (words_rule("word", ["sword", "swordfish", "fish soup", "ass"]), r"(?i)\b(?:swordfish|fish soup|sword|ass)\b"),
    (pattern_rule("code", r"[a-z]{2,5}-\d{1,3}"), r"[a-z]{2,5}-[0-9]{1,3}"),
    (pattern_rule("line", r"(?m)^soup\b|fish$"), r"(?am)^soup\b|fish$"),
    (Rule("greedy", streamable(r"(?<![a-z])s\w{0,12}p(?!\w|-\d)")), r"(?<![a-z])s\w{0,12}p(?!\w|-\d)"),
    (PERSONAL[0], r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,3}\b"),
)
TEXTS = st.lists(
    st.sampled_from(
        ["a", "ass", "fish", "sword", "Swordfish", "soup", "é", "s", "p", "-", "1", "23", "@", ".", "\n", " ", " ", "x"]
    ),
    min_size=1,
    max_size=40,
).map("".join)
CUTS = st.lists(st.integers(0, 400), max_size=60)
CHUNKS = st.one_of(st.integers(1, 9), st.just("whole"))


def spans_of(rules: list[int], text: str) -> list[TextSpan]:
    """What `re` finds in the whole text."""
    found = []
    for index in rules:
        rule, pattern = RULES[index]
        found += [TextSpan(*match.span(), rule.category) for match in re.finditer(pattern, text)]
    return sorted(found, key=lambda span: (span.start, span.end))


def delivered_of(text: str, redact: list[TextSpan], cut: int | None) -> str:
    """The whole text, judged at once."""
    end = len(text) if cut is None else cut
    pieces, at = [], -1
    for span in redact:
        if span.start >= end:
            break
        if span.start > at:
            pieces += [text[max(at, 0) : span.start], REDACTED]
        at = max(at, span.end)
    return "".join([*pieces, text[max(at, 0) : end], CUT if cut is not None else ""])


@st.composite
def members(draw: st.DrawFn, most: int = 2, release: str = "after") -> list[tuple[list[int], OutputFilter]]:
    found = []
    for number in range(draw(st.integers(1, most))):
        rules = draw(st.lists(st.integers(0, len(RULES) - 1), min_size=1, max_size=3, unique=True))
        action = draw(st.sampled_from(["block", "redact"] if release == "after" else ["block", "flag"]))
        scorer = RulesScorer(tuple(RULES[index][0] for index in rules))
        chunk, context = draw(CHUNKS), draw(st.integers(0, 9))
        found.append((rules, OutputFilter(scorer, Policy(action=action), chunk, context, release, f"g{number}")))  # type: ignore[arg-type]
    return found


def first_cut(filters: list[tuple[list[int], OutputFilter]], text: str) -> int | None:
    blocked = [spans_of(rules, text)[:1] for rules, guard in filters if guard.policy.action == "block"]
    return min((spans[0].start for spans in blocked if spans), default=None)


def agree(found: Delivered, filters: list[tuple[list[int], OutputFilter]], text: str, cut: int | None) -> None:
    """The verdicts are those of the whole text, up to the cut."""
    cutters = []
    for rules, guard in filters:
        spans = spans_of(rules, text)
        if guard.policy.action == "block":
            stopped = found.spans(guard.name, Action.BLOCK)
            assert stopped in (set(), {span for span in spans if span.start == spans[0].start})
            cutters += [guard.name] if stopped and min(span.start for span in stopped) == cut else []
        else:
            seen = found.spans(guard.name, Action(guard.policy.action))
            assert {s for s in seen if cut is None or s.start < cut} == {
                s for s in spans if cut is None or s.start < cut
            }
            assert seen <= set(spans)
    assert bool(cutters) == (cut is not None)
    for guard_name in cutters:
        (verdict,) = [verdict for verdict in found.verdicts(guard_name) if verdict.action is Action.BLOCK]
        assert verdict.categories == tuple(sorted({span.category for span in verdict.spans}))


@settings(max_examples=1000, deadline=None)
@given(text=TEXTS, cuts=CUTS, filters=members())
def test_held_text_goes_out_as_if_the_whole_had_been_judged_at_once(
    text: str, cuts: list[int], filters: list[tuple[list[int], OutputFilter]]
) -> None:
    pieces = split(text, cuts)
    found = run(Pieces(pieces), *(guard for _, guard in filters))
    cut = first_cut(filters, text)
    redact = [s for rules, guard in filters if guard.policy.action == "redact" for s in spans_of(rules, text)]
    assert found.text == delivered_of(text, sorted(redact, key=lambda span: (span.start, span.end)), cut)
    assert found.finish_reasons == ["stop" if cut is None else "cut"]
    assert cut is not None or found.tokens == len(pieces)
    assert found.trace.exposed_tokens == 0
    agree(found, filters, text, cut)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, filters=members(release="first"))
def test_text_that_goes_out_at_once_meets_the_same_verdicts(
    text: str, filters: list[tuple[list[int], OutputFilter]]
) -> None:
    found = run(Pieces(list(text)), *(guard for _, guard in filters))
    blocks = [found.spans(guard.name, Action.BLOCK) for _, guard in filters]
    starts = [min(span.start for span in spans) for spans in blocks if spans]
    shown = found.text.removesuffix(CUT)
    assert text.startswith(shown)
    # Whoever's chunk was full first has cut; with one filter it is the whole text's first span.
    assert bool(starts) == (first_cut(filters, text) is not None)
    for rules, guard in filters:
        spans = spans_of(rules, text)
        stopped = found.spans(guard.name, Action.BLOCK)
        assert stopped in (set(), {span for span in spans if span.start == spans[0].start})
        if not starts and guard.policy.action == "flag":
            assert found.spans(guard.name, Action.FLAG) == set(spans)
    assert found.trace.exposed_tokens == (len(shown) - min(starts) if starts else 0)
    assert shown == text or starts
