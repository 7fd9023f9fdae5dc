"""Limits as people write them: what is read is what was written, and nothing else is read."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.analysis.words import WORDS
from profiler.gate.limit import parse_limit


@pytest.mark.parametrize(
    ("text", "key", "scale", "bound"),
    [
        ("ttft_p99 +10%", "ttft_ms.p99", "relative", 0.1),
        ("ttft_p50 +20ms", "ttft_ms.p50", "absolute", 20.0),
        ("e2el_p99 2s", "e2el_ms.p99", "own", 2000.0),
        ("energy_per_token +5 %", "energy_j_per_token", "relative", 0.05),
        ("memory +1GiB", "peak_memory_mib", "absolute", 1024.0),
        ("output_tokens_per_s -5%", "output_tokens_per_s.mean", "relative", -0.05),
        ("block_recall 90%", "harmful.blocked", "own", 0.9),
        ("over_refusal_benign +2%", "benign.either", "absolute", 0.02),
        ("f1 0.8", "f1", "own", 0.8),
    ],
)
def test_what_is_written_is_what_is_read(text: str, key: str, scale: str, bound: float) -> None:
    found = parse_limit("max", text)
    assert (found.word.key, found.scale) == (key, scale)
    assert found.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ttft_p99", "write METRIC BOUND, such as 'ttft_p99 +10%'"),
        ("ttft_p98 +10%", "no metric `ttft_p98`: did you mean `ttft_p9"),
        ("ttft_p99 10%", "a share of what? write 'ttft_p99 +10%'"),
        ("ttft_p99 +10", "ttft_p99 is given in ms, s, us, or +% of the baseline, not in a number alone"),
        ("block_recall 90ms", "block_recall is given in %, not in ms"),
        ("ttft_p99 +nan%", "is no limit"),
        ("ttft_p99 +1e9%", "is no limit"),
    ],
)
def test_what_is_no_limit_is_told_with_the_cure(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_limit("max", text)


@given(
    word=st.sampled_from(sorted(WORDS)),
    sign=st.sampled_from(["", "+", "-"]),
    number=st.integers(0, 10**9),
    digits=st.integers(0, 3),
    data=st.data(),
)
def test_every_word_takes_its_units(word: str, sign: str, number: int, digits: int, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(sorted(WORDS[word].units)))
    value = number / 10**digits
    found = parse_limit("min", f"  {word}  {sign}{value:.{digits}f} {unit} ")
    assert found.word is WORDS[word]
    assert found.scale == ("absolute" if sign else "own")
    assert found.bound == pytest.approx((-1 if sign == "-" else 1) * value * WORDS[word].units[unit])
    # As it was given, it is the same limit again.
    assert parse_limit("min", found.text) == found


@given(st.text(max_size=40))
def test_any_text_is_a_limit_or_is_refused(text: str) -> None:
    try:
        found = parse_limit("max", text)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert math.isfinite(found.bound)


@given(st.sampled_from(sorted(WORDS)), st.text(alphabet="+-0123456789.%msMiBGeEn ", max_size=12))
def test_nearly_limits_too(word: str, rest: str) -> None:
    try:
        found = parse_limit("max", f"{word} {rest}")
    except ValueError:
        return
    assert found.word.name == word
    assert math.isfinite(found.bound)
