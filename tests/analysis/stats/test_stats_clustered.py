"""The mean over clustered requests: t of block means when equal, CR2 by matrices when not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats import NotEnoughBlocks, clustered_estimate, clustered_mean

blocks_of = st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=15), min_size=2, max_size=8)


def test_equal_blocks_give_scipys_t_interval_of_the_block_means() -> None:
    x = np.random.default_rng(0).lognormal(size=(7, 30))
    means = x.mean(axis=1)
    low, high = stats.t.interval(0.9, 6, loc=means.mean(), scale=stats.sem(means))
    ours = clustered_mean(list(x), 0.9)
    assert (ours.estimate, ours.low, ours.high) == pytest.approx((means.mean(), low, high))


@settings(deadline=None)
@given(blocks_of)
def test_is_cr2_and_bell_mccaffrey_written_out_in_matrices(blocks: list[list[float]]) -> None:
    y = np.concatenate([np.array(b) for b in blocks])
    n, labels = len(y), np.repeat(np.arange(len(blocks)), [len(b) for b in blocks])
    hat = np.full((n, n), 1 / n)
    residual, meat, rows = (np.eye(n) - hat) @ y, 0.0, []
    for g in range(len(blocks)):
        mine = labels == g
        adjust = np.real(linalg.sqrtm(linalg.inv(np.eye(mine.sum()) - hat[np.ix_(mine, mine)])))
        meat += float(np.sum(adjust @ residual[mine]) ** 2)
        rows.append(np.ones(mine.sum()) @ adjust @ (np.eye(n) - hat)[mine] / n)
    gram = np.array(rows) @ np.array(rows).T
    ours = clustered_estimate(blocks)
    assert ours.estimate == pytest.approx(y.mean(), abs=1e-9)
    assert ours.standard_error == pytest.approx(np.sqrt(meat) / n, rel=1e-5, abs=1e-5)
    assert ours.df == pytest.approx(np.trace(gram) ** 2 / np.sum(gram**2), rel=1e-5)


@settings(deadline=None)
@given(blocks_of, st.floats(0.1, 10), st.floats(-10, 10))
def test_unit_origin_and_order_do_not_matter(blocks: list[list[float]], unit: float, origin: float) -> None:
    plain = clustered_estimate(blocks)
    other = clustered_estimate([unit * np.array(b) + origin for b in reversed(blocks)])
    assert other.estimate == pytest.approx(unit * plain.estimate + origin, abs=1e-7)
    assert other.standard_error == pytest.approx(unit * plain.standard_error, abs=1e-7)
    assert 1 - 1e-9 <= other.df <= len(blocks) - 1 + 1e-9


@pytest.mark.parametrize("largest", [50, 500])
def test_covers_the_mean_of_unequal_drifting_blocks(largest: int) -> None:
    rng = np.random.default_rng(largest)
    sizes = [largest, 50, 40, 60, 50, 50, 50]
    hits = sum(
        clustered_mean([2 * rng.normal() + rng.exponential(10, n) for n in sizes]).contains(10) for _ in range(600)
    )
    assert 0.92 <= hits / 600 <= 0.98


def test_copies_of_a_request_are_no_new_evidence() -> None:
    x = np.random.default_rng(1).normal(size=(5, 4))
    once, often = clustered_estimate(list(x)), clustered_estimate([np.tile(b, 50) for b in x])
    assert often.standard_error == pytest.approx(once.standard_error)


def test_empty_blocks_are_left_out_and_one_is_not_enough() -> None:
    assert clustered_mean([[1.0, 2.0], [], [3.0]]) == clustered_mean([[1.0, 2.0], [3.0]])
    with pytest.raises(NotEnoughBlocks):
        clustered_mean([[1.0, 2.0], []])
    with pytest.raises(ValueError, match="finite"):
        clustered_mean([[1.0], [float("nan")]])
