"""The tax on a mean: scipy's paired t, and what drift must not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats import NotEnoughBlocks, mean_difference, mean_ratio, paired_log_ratio

lengths = st.shared(st.integers(2, 30), key="n")
positive = lengths.flatmap(lambda n: arrays(np.float64, n, elements=st.floats(0.1, 1000)))

BASELINE = np.array([102.0, 95.0, 110.0, 99.0, 123.0, 90.0])
ARM = np.array([108.0, 99.0, 118.0, 101.0, 131.0, 97.0])


def test_student_1908_sleep_data() -> None:
    dextro = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    laevo = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    interval = mean_difference(dextro, laevo)
    assert interval.estimate == pytest.approx(1.58)
    assert (interval.low, interval.high) == pytest.approx((0.7001, 2.4599), abs=1e-4)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_agrees_with_scipys_paired_t(confidence: float) -> None:
    test = stats.ttest_rel(ARM, BASELINE)
    low, high = test.confidence_interval(confidence)
    ours = mean_difference(BASELINE, ARM, confidence)
    assert (ours.low, ours.high) == pytest.approx((low, high))

    logs = stats.ttest_rel(np.log(ARM), np.log(BASELINE))
    low, high = logs.confidence_interval(confidence)
    ratio = mean_ratio(BASELINE, ARM, confidence)
    assert (ratio.low, ratio.high) == pytest.approx((np.expm1(low), np.expm1(high)))
    assert paired_log_ratio(BASELINE, ARM).p_value == pytest.approx(logs.pvalue)


@settings(deadline=None)
@given(positive, positive, positive)
def test_drift_common_to_a_block_changes_no_ratio(a: np.ndarray, b: np.ndarray, drift: np.ndarray) -> None:
    plain, drifted = paired_log_ratio(a, b), paired_log_ratio(a * drift, b * drift)
    assert drifted.estimate == pytest.approx(plain.estimate, abs=1e-9)
    assert drifted.standard_error == pytest.approx(plain.standard_error, abs=1e-9)


@settings(deadline=None)
@given(positive, positive)
def test_swapping_the_arms_inverts_the_ratio_and_negates_the_difference(a: np.ndarray, b: np.ndarray) -> None:
    there, back = paired_log_ratio(a, b).interval(), paired_log_ratio(b, a).interval()
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-9)
    assert mean_difference(b, a).estimate == pytest.approx(-mean_difference(a, b).estimate, abs=1e-9)
    assert mean_ratio(a, b).low <= mean_ratio(a, b).estimate <= mean_ratio(a, b).high


def test_a_tax_common_to_all_blocks_is_found_exactly() -> None:
    interval = mean_ratio(BASELINE, 1.05 * BASELINE)
    assert interval.estimate == pytest.approx(0.05)
    assert interval.half_width == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_one_block_is_not_enough(n: int) -> None:
    with pytest.raises(NotEnoughBlocks):
        mean_ratio(BASELINE[:n], ARM[:n])
    with pytest.raises(NotEnoughBlocks):
        mean_difference(BASELINE[:n], ARM[:n])


def test_blocks_must_pair_and_be_positive_for_a_ratio() -> None:
    with pytest.raises(ValueError, match="pair"):
        mean_ratio(BASELINE, ARM[1:])
    with pytest.raises(ValueError, match="positive"):
        mean_ratio([1.0, 0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        mean_difference([1.0, np.nan], [1.0, 2.0])
