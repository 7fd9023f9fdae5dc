"""The tax on a quantile: pooled as it should be, paired as it should be, covering as it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats import NotEnoughBlocks, quantile_difference, quantile_estimate
from profiler.analysis.stats.pooled import pooled_quantiles

Blocks = list[np.ndarray]
requests = st.lists(st.floats(0.5, 100).map(lambda x: round(x, 1)), min_size=1, max_size=12)
block_pairs = st.lists(st.tuples(requests, requests), min_size=2, max_size=6)
inner = st.floats(0.01, 0.99)


@settings(deadline=None)
@given(st.lists(st.tuples(requests, st.integers(0, 4)), min_size=1, max_size=6), inner)
def test_pooled_quantile_is_that_of_the_repeated_blocks(drawn: list[tuple[list[float], int]], q: float) -> None:
    blocks = [np.sort(np.array(block)) for block, _ in drawn]
    weights = np.array([[count for _, count in drawn], [1] * len(drawn)], dtype=np.int64)
    weights[0, 0] += 1
    got = pooled_quantiles(blocks, weights, q)
    for row, answer in zip(weights, got, strict=True):
        pool = np.concatenate([np.tile(block, count) for block, count in zip(blocks, row, strict=True)])
        assert answer == pytest.approx(np.quantile(pool, q))


@settings(deadline=None)
@given(block_pairs, inner, st.floats(0.5, 2), st.floats(-50, 50), st.booleans())
def test_unit_and_origin_do_not_matter(
    pairs: list[tuple[list[float], list[float]]], q: float, unit: float, origin: float, relative: bool
) -> None:
    base, arm = [np.array(b) for b, _ in pairs], [np.array(a) for _, a in pairs]
    origin, scale = (0.0, 1.0) if relative else (origin, unit)
    plain = quantile_estimate(base, arm, q, resamples=50, seed=1, relative=relative)
    other = quantile_estimate(
        [unit * b + origin for b in base],
        [unit * a + origin for a in arm],
        q,
        resamples=50,
        seed=1,
        relative=relative,
    )
    assert other.estimate == pytest.approx(scale * plain.estimate, abs=1e-8)
    assert other.standard_error == pytest.approx(scale * plain.standard_error, abs=1e-8)


def test_an_arm_is_not_different_from_itself() -> None:
    blocks = _requests(np.random.default_rng(0), 8, 40)
    interval = quantile_difference(blocks, blocks, 0.9, seed=1)
    assert (interval.low, interval.estimate, interval.high) == (0, 0, 0)


def test_a_tax_common_to_all_requests_is_found_exactly() -> None:
    blocks = _requests(np.random.default_rng(0), 8, 40)
    interval = quantile_difference(blocks, [1.05 * b for b in blocks], 0.9, seed=1, relative=True)
    assert (interval.low, interval.estimate, interval.high) == pytest.approx((0.05, 0.05, 0.05))


def test_it_is_the_difference_of_quantiles_not_the_quantile_of_differences() -> None:
    base, arm = [np.array([1.0, 9.0])] * 2, [np.array([9.0, 1.0])] * 2
    assert quantile_difference(base, arm, 0.9, seed=1).estimate == 0
    assert np.quantile(np.concatenate(arm) - np.concatenate(base), 0.9) == 8


def test_same_seed_same_answer_other_seed_nearly() -> None:
    rng = np.random.default_rng(1)
    base, arm = _requests(rng, 10, 50), _requests(rng, 10, 50)
    first = quantile_estimate(base, arm, 0.5, seed=7)
    assert quantile_estimate(base, arm, 0.5, seed=7) == first
    other = quantile_estimate(base, arm, 0.5, seed=8)
    assert other != first
    assert other.standard_error == pytest.approx(first.standard_error, rel=0.1)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_standard_error_is_scipys_bootstrap_over_blocks(q: float) -> None:
    rng = np.random.default_rng(2)
    base, arm = _requests(rng, 5, 60), _requests(rng, 5, 60)

    def difference(index: np.ndarray) -> float:
        before, after = (np.concatenate([blocks[int(i)] for i in index]) for blocks in (base, arm))
        return float(np.quantile(after, q) - np.quantile(before, q))

    theirs = stats.bootstrap((np.arange(5),), difference, n_resamples=3000, vectorized=False, method="basic", rng=3)
    ours = quantile_estimate(base, arm, q, resamples=4000, seed=4)
    assert ours.standard_error == pytest.approx(theirs.standard_error * np.sqrt(5 / 4), rel=0.05)


@pytest.mark.parametrize(("blocks", "q"), [(6, 0.5), (10, 0.9), (14, 0.5)])
def test_covers_a_known_tax_under_drift(blocks: int, q: float) -> None:
    rng = np.random.default_rng(blocks)
    hits = sum(
        quantile_difference(*_drifting(rng, blocks, 60, 1.05), q, resamples=150, seed=i, relative=True).contains(0.05)
        for i in range(150)
    )
    assert 0.92 <= hits / 150 <= 0.985


def test_pairing_removes_the_drift_that_arms_share() -> None:
    base, arm = _drifting(np.random.default_rng(5), 20, 200, 1.0, own=0.0, shared=0.3)
    paired = quantile_estimate(base, arm, 0.5, seed=1)
    mispaired = quantile_estimate(base, arm[7:] + arm[:7], 0.5, seed=1)
    assert paired.standard_error < 0.5 * mispaired.standard_error


def test_blocks_without_requests_are_left_out_of_both_arms() -> None:
    rng = np.random.default_rng(6)
    base, arm = _requests(rng, 5, 20), _requests(rng, 5, 20)
    holed = [*arm[:4], np.array([])]
    assert quantile_estimate(base, holed, 0.5, seed=1) == quantile_estimate(base[:4], arm[:4], 0.5, seed=1)


def test_errors_say_what_is_wrong() -> None:
    one = [np.ones(3)]
    with pytest.raises(NotEnoughBlocks):
        quantile_difference(one, one, 0.5, seed=1)
    with pytest.raises(ValueError, match="pair"):
        quantile_difference(one * 3, one * 2, 0.5, seed=1)
    with pytest.raises(ValueError, match="positive"):
        quantile_difference(one * 2, [np.zeros(3)] * 2, 0.5, seed=1, relative=True)
    with pytest.raises(ValueError, match="finite"):
        quantile_difference(one * 2, [np.array([np.nan])] * 2, 0.5, seed=1)
    with pytest.raises(ValueError, match="q"):
        quantile_difference(one * 2, one * 2, 1.0, seed=1)


def _requests(rng: np.random.Generator, blocks: int, size: int) -> Blocks:
    return [np.exp(0.1 * rng.normal() + 0.5 * rng.normal(size=size)) for _ in range(blocks)]


def _drifting(
    rng: np.random.Generator, blocks: int, size: int, tax: float, own: float = 0.06, shared: float = 0.1
) -> tuple[Blocks, Blocks]:
    base, arm = [], []
    for _ in range(blocks):
        drift = shared * rng.normal()
        base.append(np.exp(drift + own * rng.normal() + 0.5 * rng.normal(size=size)))
        arm.append(tax * np.exp(drift + own * rng.normal() + 0.5 * rng.normal(size=size)))
    return base, arm
