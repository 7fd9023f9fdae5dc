"""Warm-up: found where it was put in, not where there is none, and never more than half of a run."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.analysis.steady import TrialLevel, find_cut, mser, settled
from profiler.records.record import Outcome
from profiler.records.store import StoredTrial
from tests.analysis.made_trials import request, trial

ARMS = [("none", 0), ("guard", 0), ("none", 1)]


def run(slow: list[float], seed: int = 1, spread: float = 0.01, guard: float = 1.3) -> list[StoredTrial]:
    """A run whose block b is `slow[b]` times as slow as usual, with a random spread; `guard` is the arm's tax."""
    random = np.random.default_rng(seed)
    trials = []
    for block, factor in enumerate(slow):
        for place in random.permutation(len(ARMS)).tolist():
            arm, replicate = ARMS[place]
            usual_ms = 500 * factor * (guard if arm == "guard" else 1) * np.exp(spread * random.standard_normal())
            records = [request(i, service_ms=usual_ms) for i in range(4)]
            trials.append(trial(len(trials), block, arm, records, replicate=replicate))
    return trials


def levels(series: np.ndarray) -> list[TrialLevel]:
    return [TrialLevel(block, "none", block, float(level)) for block, level in enumerate(series)]


@pytest.mark.parametrize("first", [[1.5], [1.8, 1.4, 1.2], [0.7, 0.7]])
def test_a_warm_up_is_cut_with_all_arms_of_its_blocks(first: list[float]) -> None:
    trials = run([*first, *[1.0] * 9])
    found = settled(trials)
    assert found.cut_blocks == tuple(range(len(first)))
    assert [t.info.block for t in found.trials] == [b for b in range(len(first), len(first) + 9) for _ in ARMS]
    assert f"the first {len(first)} of {len(first) + 9} blocks ran" in found.why
    assert ("slower" if first[0] > 1 else "faster") in found.why


def test_a_steady_run_is_kept_whole() -> None:
    trials = run([1.0] * 10)
    assert settled(trials).trials == tuple(trials)
    assert settled(trials).why == "steady from the first block on: none cut"


def test_a_change_under_five_percent_is_not_cut() -> None:
    assert settled(run([1.04, 1.04, *[1.0] * 8], spread=0.001)).cut_blocks == ()
    assert settled(run([1.06, 1.06, *[1.0] * 8], spread=0.001)).cut_blocks == (0, 1)


def test_too_few_blocks_to_tell_is_said() -> None:
    found = settled(run([3.0, 1.0, 1.0, 1.0, 1.0]))
    assert found.cut_blocks == ()
    assert found.why == "5 blocks are too few to find a warm-up (6 are needed): none cut"
    assert settled([]).trials == ()


def test_no_more_than_half_is_cut_and_a_run_that_never_settles_says_so() -> None:
    found = settled(run([2.0] * 6 + [1.0] * 6))
    assert found.cut_blocks == tuple(range(6))
    assert "may not be steady yet" in found.why
    assert settled(run([2.0] * 8 + [1.0] * 4)).cut_blocks == ()


def test_blocked_and_failed_requests_do_not_look_like_speed() -> None:
    trials = run([1.0] * 8)
    for block in (0, 1):
        for at in range(3 * block, 3 * block + 3):
            info = trials[at].info
            short = request(7, service_ms=1, tokens=1, finish="blocked", outcome=Outcome.BLOCKED)
            records = [request(0, service_ms=650.0 if info.arm == "guard" else 500.0), short, short, short]
            trials[at] = trial(at, block, info.arm, records, replicate=info.replicate)
    assert settled(trials).cut_blocks == ()


def test_a_block_without_its_slow_arm_does_not_look_fast() -> None:
    trials = [t for t in run([1.0] * 10, guard=3.0) if t.info.block > 1 or t.info.arm == "none"]
    assert settled(trials).cut_blocks == ()


@given(st.lists(st.floats(-5, 5, width=16), min_size=3, max_size=40))
@settings(max_examples=60)
def test_mser_agrees_with_the_standard_errors_of_scipy(series: list[float]) -> None:
    errors = [scipy.stats.sem(series[d:], ddof=0) ** 2 for d in range(len(series) // 2 + 1)]
    assert errors[mser(series)] == pytest.approx(min(errors), abs=1e-12)
    assert mser(series) <= len(series) // 2


@given(seed=st.integers(0, 10**6), blocks=st.integers(1, 30), shift=st.floats(-2, 2), spread=st.floats(0.001, 0.3))
@settings(max_examples=60)
def test_the_cut_is_a_beginning_of_at_most_half_whatever_the_units(
    seed: int, blocks: int, shift: float, spread: float
) -> None:
    series = np.random.default_rng(seed).normal(0, spread, blocks)
    series[: blocks // 3] += shift
    cut = find_cut(levels(series)).blocks
    assert cut == tuple(range(len(cut)))
    assert len(cut) <= blocks // 2
    assert find_cut(levels(series + 3.7)).blocks == cut
    later_first = levels(series)[::-1]
    assert find_cut(later_first).blocks == cut


def test_scatter_alone_is_seldom_cut() -> None:
    random = np.random.default_rng(5)
    cut = sum(bool(find_cut(levels(random.normal(0, 0.08, 12))).blocks) for _ in range(500))
    assert cut <= 0.06 * 500


@pytest.mark.parametrize("series", [[], [[1.0, 2.0]]])
def test_mser_refuses_what_is_no_series(series: list[float]) -> None:
    with pytest.raises(ValueError, match="one-dimensional"):
        mser(series)
