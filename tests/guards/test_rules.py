"""The rules scorer: what the built-in rules find and let be, word lists, patterns of the user's, and linear time."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guards.config import OutputFilterConfig, build_guard
from guards.output_filter import OutputFilter
from guards.scorers.builtin_rules import BUILTIN
from guards.scorers.rules import RulesScorer, pattern_rule, words_rule
from guards.scorers.scan import Rule, RulesStream
from guards.scorers.streamable import PatternError, Searcher, linear
from guards.subject import Subject
from tests.guards.answers import split

_PEM_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
HITS = {
    "api-key": [
        "sk-proj-4fG7hJ2kLmN8pQrS5tUvWxYz0123456789abcdEF", "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AA",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "glpat-AbCdEf1234567890abcd",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz", "xoxb-123456789012-abcdefghijklmnop",
        "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q", "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789", "AKIAIOSFODNN7EXAMPLE",
        "SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "SK0123456789abcdef0123456789abcdef",
    ],
    "private-key": [
        f"-----BEGIN RSA PRIVATE KEY-----\n{_PEM_LINE}\n{_PEM_LINE}\nQ0dZ\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\\n{_PEM_LINE}\\n{_PEM_LINE}==", "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    ],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"],
    "email": ["jane.doe+news@mail.example.co.uk", "ü@example.org", "a@b.de"],
    "phone": ["+1 555 010 9999", "(555) 010-9999", "555-010-9999", "+44 20 7946 0958", "+4930901820", "020 7946 0958"],
    "credit-card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "3782 822463 10005"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "BE68 5390 0754 7034", "NO93 8601 1117 947"],
    "ipv4": ["8.8.8.8", "93.184.216.34"],
    "us-ssn": ["123-45-6789"],
}  # fmt: skip
NEAR_MISSES = [
    "sk-learn-and-other-kebab-case-names-2024", "sk-short1", "ask-proj-4fG7hJ2kLmN8pQrS5tUvWxYz0123456789",
    "ghp_tooShort123", "AKIAIOSFODNN7EXAMPL", "xAKIAIOSFODNN7EXAMPLE", "hf_model-name", "SG.x.y",
    "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "eyJhbGciOiJIUzI1NiJ9", "eyJ.eyJ.",
    "user@localhost", "@handle", "a@b", "x @ y.com", "12 34 56", "2024-01-31", "1 000 000", "10:30-11:00", "555-0109",
    "4111 1111 1111 1112", "1234 5678 9012 3456", "0000000000000000", "DE89 3704 0044 0532 0130 01", "GB82 TEST",
    "XX89 3704 0044 0532 0130 00", "1.2.3", "256.1.1.1", "8.8.8.8.8", "v8.8.8.8", "127.0.0.1", "192.168.0.1",
    "10.1.2.3", "000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "123-45-67890",
    "3.14159 and 2.71828",
]  # fmt: skip


def found(rules: tuple[Rule, ...], text: str) -> list[tuple[str, str]]:
    spans = asyncio.run(RulesScorer(rules).score(Subject(text))).spans
    return [(span.category, text[span.start : span.end]) for span in spans]


@pytest.mark.parametrize(("category", "hit"), [(category, hit) for category, hits in HITS.items() for hit in hits])
def test_a_secret_is_found_whole_in_a_sentence_and_for_what_it_is(category: str, hit: str) -> None:
    for sentence in (f"It is {hit} I think.", hit, f"({hit})", f'"{hit}",', f"first\n{hit}\nlast"):
        assert found(BUILTIN, sentence) == [(category, hit)]


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_what_only_looks_like_one_is_let_be(text: str) -> None:
    assert found(BUILTIN, f"It is {text} I think.") == []
    assert found(BUILTIN, text) == []


FRAGMENTS = [*(hit for hits in HITS.values() for hit in hits), *NEAR_MISSES, *"  \n.-a1+@"]


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.sampled_from(FRAGMENTS), max_size=8), cuts=st.lists(st.integers(0, 4000), max_size=40))
def test_the_built_in_rules_find_in_a_stream_what_they_find_in_the_text(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    stream, pieces = RulesStream(BUILTIN), split(text, cuts)
    seen = [span for n, piece in enumerate(pieces, 1) for span in stream.feed(piece, final=n == len(pieces))]
    expected = [
        (m.start(), m.end(), rule.category)
        for rule in BUILTIN
        for m in rule.form.whole.finditer(text, 0)
        if rule.accept(m.group())
    ]
    assert [(span.start, span.end, span.category) for span in seen] == sorted(expected)


def test_words_are_found_whole_in_any_case_and_the_longest_first() -> None:
    rules = (words_rule("w", ["Sword", "swordfish", "sword fish", "c++", "naïve", "Straße"]),)
    text = "SWORD swordfish sword fish password swords C++ c+ NAÏVE naive STRASSE straße sword."
    assert [word for _, word in found(rules, text)] == [
        "SWORD", "swordfish", "sword fish", "C++", "NAÏVE", "straße", "sword",
    ]  # fmt: skip


def test_a_long_word_list_costs_no_more_than_a_short_one() -> None:
    text = "word100x word wor word9 " * 500
    many = words_rule("w", [f"word{number}" for number in range(5000)])
    few = words_rule("w", ["word1", "word2"])
    assert found((many,), "a word4321 b") == [("w", "word4321")]
    assert _cpu_s(many, text) < 8 * _cpu_s(few, text)


def test_a_users_pattern_is_linear_on_text_that_is_made_to_be_slow() -> None:
    # Python's `re` would take 2 ** 30 steps.
    rule = pattern_rule("evil", r"(?:a{0,30}){1,20}b|(?:a|a){30}c")
    assert found((rule,), "a" * 5000) == []


@pytest.mark.parametrize(
    "text",
    ["a", "a.", "a@", "1 ", "+1", "1.", "4111", "DE89", "eyJ", "-----BEGIN ", "sk-", "aaaa@aaa.",
     "x" * 40 + "@" + "y" * 40, f"-----BEGIN PRIVATE KEY-----\n{_PEM_LINE}\n{_PEM_LINE}\n", "eyJaaaaaaaaaa.",
     "12-34-5", "A1B2 "],
)  # fmt: skip
def test_the_built_in_rules_take_time_in_proportion_to_the_text(text: str) -> None:
    short, long = (text * (n // len(text)) for n in (20_000, 80_000))
    for rule in BUILTIN:
        # Quadratic would be 16 times.
        assert _cpu_s(rule, long) < 10 * _cpu_s(rule, short) + 2e-3


def _cpu_s(rule: Rule, text: str) -> float:
    def once() -> float:
        began = time.process_time()
        RulesStream((rule,)).feed(text, final=True)
        return time.process_time() - began

    return min(once() for _ in range(3))


@dataclass
class Counting:
    """Counts the characters that a search could look at."""

    inner: Searcher
    looked_at: int = 0

    def search(self, text: str, pos: int) -> Any:
        self.looked_at += len(text) - pos
        return self.inner.search(text, pos)

    def finditer(self, text: str, pos: int) -> Iterator[Any]:
        self.looked_at += len(text) - pos
        return self.inner.finditer(text, pos)


@pytest.mark.parametrize("text", ["word ", "a@", "x", "1 ", "eyJaaaaaaaaaa.", "-----BEGIN PRIVATE KEY-----\n", "sk-a"])
def test_a_stream_read_token_by_token_looks_at_each_character_a_bounded_number_of_times(text: str) -> None:
    def looked_at(rule: Rule, length: int) -> int:
        counting = Counting(rule.form.prefix)
        stream = RulesStream((replace(rule, form=replace(rule.form, prefix=counting)),))
        for start in range(0, length, 4):
            stream.feed((text * (length // len(text) + 1))[start : start + 4], final=False)
        return counting.looked_at

    for rule in BUILTIN:
        assert looked_at(rule, 16_000) <= 8.5 * looked_at(rule, 2_000)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"patterns": {"c": ["ok", "a+"]}}, ("patterns.c.1", "no longest match", "{1,64}")),
        ({"patterns": {"c": ["a{1,9000}"]}}, ("patterns.c.0", "up to 9000 characters")),
        ({"patterns": {"c": ["a?"]}}, ("patterns.c.0", "matches the empty text")),
        ({"patterns": {"c": ["(a"]}}, ("patterns.c.0", "no regular expression")),
        ({"patterns": {"c": ["(?<!a)b"]}}, ("patterns.c.0", "lookaround")),
        ({"patterns": {"c": [r"(a)\1"]}}, ("patterns.c.0", "backreference")),
        ({"patterns": {"c": ["[[:alpha:]]b"]}}, ("patterns.c.0", "write a-z")),
        ({"patterns": {"c": ["a{1,2000}"]}}, ("patterns.c.0", "RE2 refuses it", "at most 1000")),
        ({"words": {"c": ["ok", " "]}}, ("words.c.1", "blank word")),
        ({"secrets": ["api-kee"]}, ("secrets", "api-key")),
        ({"secrets": False, "pii": False, "words": {"c": []}}, ("there are no rules",)),
    ],
)
def test_a_scenario_with_rules_that_cannot_be_is_refused(stated: dict[str, Any], said: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as refused:
        OutputFilterConfig.model_validate({"kind": "output-filter", "scorer": {"kind": "rules", **stated}})
    for part in said:
        assert part in str(refused.value)


def test_a_scenario_states_words_patterns_and_which_built_in_rules() -> None:
    stated = {
        "kind": "output-filter", "action": "redact", "chunk_tokens": "whole",
        "scorer": {"kind": "rules", "words": {"w": ["swordfish"]}, "patterns": {"p": [r"\bproject-\d{1,4}\b"]},
                   "secrets": False, "pii": ["email", "iban"]},
    }  # fmt: skip
    guard = build_guard("mine", OutputFilterConfig.model_validate(stated))
    assert isinstance(guard, OutputFilter) and isinstance(guard.scorer, RulesScorer)
    text = "swordfish project-12 a@b.de 8.8.8.8 123-45-6789 AKIAIOSFODNN7EXAMPLE BE68 5390 0754 7034"
    categories = [category for category, _ in found(guard.scorer.rules, text)]
    assert categories == ["w", "p", "email", "iban"]
    assert guard.chunk_tokens == "whole"


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"action": "rewrite"}, "needs `chunk_tokens: whole`"),
        ({"action": "rewrite", "release": "first", "chunk_tokens": "whole"}, "needs `release: after`"),
        ({"action": "redact", "release": "first"}, "needs `release: after`"),
        ({"chunk_tokens": 0}, "from 1 up, or `whole`"),
        ({"chunk_tokens": "all"}, "from 1 up, or `whole`"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        OutputFilterConfig.model_validate({"kind": "output-filter", **stated})


def test_a_lone_surrogate_stops_no_pattern() -> None:
    assert found((pattern_rule("p", "b{2}"),), "a\ud800 bb") == [("p", "bb")]


def test_a_pattern_error_is_one_line() -> None:
    with pytest.raises(PatternError) as refused:
        linear("a{1,5}(?=b)")
    assert len(str(refused.value).splitlines()) == 1
