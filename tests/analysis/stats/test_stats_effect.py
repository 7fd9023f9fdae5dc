"""What may be claimed, and what could have been."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.stats import Interval, minimum_detectable_effect, noise_floor, verdict

ends = st.tuples(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1)).map(
    lambda e: Interval(e[0], e[0] - e[1], e[0] + e[2], 0.95)
)
floors = st.floats(0, 1)


def test_bloom_1995_multipliers() -> None:
    assert minimum_detectable_effect(1.0, 1e6) == pytest.approx(2.80, abs=0.005)
    assert minimum_detectable_effect(1.0, 1e6, power=0.9) == pytest.approx(3.24, abs=0.005)
    assert minimum_detectable_effect(1.0, 20) == pytest.approx(2.95, abs=0.005)


@pytest.mark.parametrize("df", [5, 9, 29])
@pytest.mark.parametrize("power", [0.8, 0.9, 0.95])
def test_the_noncentral_t_finds_that_effect_with_that_power(df: int, power: float) -> None:
    effect = minimum_detectable_effect(1.0, df, power=power)
    critical = stats.t.ppf(0.975, df)
    found = stats.nct.sf(critical, df, effect) + stats.nct.cdf(-critical, df, effect)
    assert found == pytest.approx(power, abs=0.02)


@settings(deadline=None)
@given(st.floats(0, 1e3), st.floats(1, 200), st.floats(0.001, 0.2), st.floats(0.5, 0.98))
def test_more_noise_or_more_power_needs_a_larger_effect(se: float, df: float, alpha: float, power: float) -> None:
    effect = minimum_detectable_effect(se, df, alpha, power)
    assert effect >= 0
    assert minimum_detectable_effect(2 * se, df, alpha, power) == pytest.approx(2 * effect)
    assert minimum_detectable_effect(se, df, alpha, power + 0.01) >= effect
    assert minimum_detectable_effect(se, df + 1, alpha, power) <= effect


def test_noise_floor_is_the_half_width_unless_the_instrument_is_biased() -> None:
    assert noise_floor(Interval(-0.01, -0.05, 0.03, 0.95)) == pytest.approx(0.04)
    assert noise_floor(Interval(-0.08, -0.10, -0.06, 0.95)) == 0.08
    assert noise_floor(Interval(0.01, -0.02, math.inf, 0.95)) == math.inf


@pytest.mark.parametrize(
    ("tax", "floor", "said"),
    [
        (Interval(0.05, 0.03, 0.07, 0.95), 0.02, "tax"),
        (Interval(-0.05, -0.07, -0.03, 0.95), 0.02, "saving"),
        (Interval(0.05, 0.03, 0.07, 0.95), 0.06, "below the noise floor"),
        (Interval(0.05, 0.03, 0.07, 0.95), math.inf, "below the noise floor"),
        (Interval(0.05, -0.01, 0.11, 0.95), 0.02, "no difference found"),
        (Interval(0.001, -0.002, 0.004, 0.95), 0.02, "no difference found"),
    ],
)
def test_verdicts(tax: Interval, floor: float, said: str) -> None:
    assert verdict(tax, floor) == said


@settings(deadline=None)
@given(ends, floors, floors)
def test_a_claim_needs_both_and_a_higher_floor_only_withholds(tax: Interval, a: float, b: float) -> None:
    low, high = sorted((a, b))
    claims = {"tax", "saving"}
    if verdict(tax, high) in claims:
        assert tax.excludes_zero
        assert abs(tax.estimate) > high
        assert verdict(tax, low) == verdict(tax, high)


@settings(deadline=None)
@given(ends, floors)
def test_a_saving_is_a_tax_seen_from_the_other_side(tax: Interval, floor: float) -> None:
    mirrored = Interval(-tax.estimate, -tax.high, -tax.low, tax.confidence)
    swap = {"tax": "saving", "saving": "tax"}
    said = verdict(tax, floor)
    assert verdict(mirrored, floor) == swap.get(said, said)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError):
        minimum_detectable_effect(-1, 5)
    with pytest.raises(ValueError):
        minimum_detectable_effect(1, 0)
    with pytest.raises(ValueError):
        verdict(Interval(0, -1, 1, 0.95), math.nan)
