"""Shares of prompts: Wilson's interval as scipy has it, and paired differences that never claim too much."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from guards.training.measures import rate
from guards.training.shares import wilson
from profiler.analysis.stats import share_difference, share_interval, share_of

shares = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(st.integers(1, 500), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_it_is_scipys_wilson(n: int, data: st.DataObject, confidence: float) -> None:
    hits = data.draw(st.integers(0, n))
    theirs = binomtest(hits, n).proportion_ci(confidence_level=confidence, method="wilson")
    ours = share_interval([1.0] * hits + [0.0] * (n - hits), confidence)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert ours == share_of(hits / n, n, confidence)


def test_the_cards_of_the_heads_use_the_same() -> None:
    found = rate(np.array([0.1, 0.6, 0.7, 0.9]), 0.5)
    low, high = wilson(0.75, 4)
    assert (found["rate"], found["low"], found["high"]) == (0.75, round(low, 4), round(high, 4))


@given(shares)
def test_a_share_lies_in_its_interval_and_that_between_0_and_1(values: list[float]) -> None:
    found = share_interval(values)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_a_prompt_sent_often_counts_once() -> None:
    """Two prompts, one of them blocked in half of its blocks: the interval is that of two, however many blocks."""
    assert share_interval([0.5, 1.0]) == share_of(0.75, 2)


@pytest.mark.parametrize("values", [[], [1.2], [-0.1], [float("nan")]])
def test_what_is_no_share_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        share_interval(values)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_difference_lies_in_its_interval_and_turns_round(pairs: list[tuple[float, float]]) -> None:
    before, after = zip(*pairs, strict=True)
    found, back = share_difference(before, after), share_difference(after, before)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert found.estimate == pytest.approx(np.mean(after) - np.mean(before))
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@given(st.integers(1, 50), st.floats(0, 1))
def test_no_difference_found_is_not_no_difference(n: int, share: float) -> None:
    same = (np.arange(n) < share * n).astype(float)
    found = share_difference(same, same)
    assert found.low < 0 < found.high


def test_pairs_that_agree_narrow_the_difference() -> None:
    rng = np.random.default_rng(1)
    before = (rng.random(60) < 0.5).astype(float)
    after = before.copy()
    after[:6] = 1 - after[:6]
    assert (
        share_difference(before, after).half_width < 0.8 * share_difference(before, rng.permutation(after)).half_width
    )


def test_prompts_must_pair() -> None:
    with pytest.raises(ValueError, match="pair one to one"):
        share_difference([0.0], [0.0, 1.0])
