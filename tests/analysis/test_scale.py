"""The tax against the model's size: recovered exponents, coverage, and what is not told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.analysis.scale import power_law
from profiler.analysis.stats import Interval, mean_of_blocks

SIZES = (1.35e8, 1.2e9, 8e9, 7e10)
Points = list[tuple[float, Interval | None, str]]


def points(taxes: list[float], half: float = 0.1) -> Points:
    """Each tax with an interval of `half` of it either way."""
    return [
        (size, Interval(tax, tax - half * abs(tax), tax + half * abs(tax), 0.95), f"run {i}")
        for i, (size, tax) in enumerate(zip(SIZES, taxes, strict=False))
    ]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("a", "trend"), [(0.4, "grows"), (-0.4, "shrinks"), (0.0, "holds")])
def test_a_power_law_is_recovered(a: float, trend: str, sign: int) -> None:
    found = power_law(points([sign * 3 * size**a for size in SIZES]))
    assert found.exponent is not None
    assert found.exponent.estimate == pytest.approx(a, abs=1e-6)
    assert found.factor == pytest.approx(sign * 3, rel=1e-4)
    assert found.trend == trend and not found.why


def test_three_sizes_are_needed_not_three_runs() -> None:
    two = [(8e9, Interval(1, 0.9, 1.1, 0.95), f"run {i}") for i in range(3)] + points([1.0])
    found = power_law(two)
    assert found.exponent is None and found.why == "2 size(s): an interval needs 3"


def test_a_tax_that_may_be_nothing_has_no_exponent() -> None:
    doubtful = points([1.0, 2.0, 3.0, 4.0])
    doubtful[0] = (doubtful[0][0], Interval(1.0, -0.1, 2.1, 0.95), "run 0")
    assert power_law(doubtful).why == "the tax of run 0 is not told from zero: more blocks"
    assert power_law(points([1.0, 2.0, -3.0])).why == "a tax at one size and a saving at another"
    assert power_law([*points([1.0, 2.0, 3.0])[:2], (8e9, None, "run 2")]).why == "run 2 has no such figure"


def test_scatter_that_hides_the_trend_tells_none() -> None:
    assert power_law(points([1.0, 9.0, 0.5, 4.0])).trend == ""


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.lists(st.floats(0.5, 5), min_size=4, max_size=4))
def test_units_change_no_exponent(of_size: float, of_tax: float, taxes: list[float]) -> None:
    plain = power_law(points(taxes))
    other = power_law([(of_size * s, t and Interval(of_tax * t.estimate, of_tax * t.low, of_tax * t.high, 0.95), run)
                       for s, t, run in points(taxes)])  # fmt: skip
    assert plain.exponent is not None and other.exponent is not None
    for end in ("estimate", "low", "high"):
        assert getattr(other.exponent, end) == pytest.approx(getattr(plain.exponent, end), abs=1e-4)


@pytest.mark.parametrize("blocks", [6, 15])
def test_its_interval_covers_what_it_says_from_blocks_to_exponent(blocks: int) -> None:
    """A tax of 20 % at the least size whose blocks spread by 40 % of it: intervals as a run has them."""
    rng, held, fitted, runs = np.random.default_rng(9), 0, 0, 300
    for _ in range(runs):
        taxes = [(0.2 * (size / SIZES[0]) ** -0.3) for size in SIZES]
        found = power_law(
            [
                (size, mean_of_blocks(tax * (1 + 0.4 * rng.standard_normal(blocks))).interval(), str(size))
                for size, tax in zip(SIZES, taxes, strict=True)
            ]
        )
        if found.exponent is not None:
            fitted += 1
            held += found.exponent.contains(-0.3)
    assert fitted > 0.9 * runs
    assert 0.92 <= held / fitted <= 0.99
