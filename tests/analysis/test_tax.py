"""Arm against baseline: the block as the unit, quantiles pooled, several arms adjusted, a floor to beat."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped,unused-ignore]

from profiler.analysis.blocks import TOKENS_PER_S, BlockFigures, by_block
from profiler.analysis.comparison import Estimates, Tax, estimate, taxes
from profiler.analysis.metrics import TrialMetrics
from profiler.analysis.stats import TEstimate

TTFT = "ttft_ms.mean"


def trial(
    block: int, values: Sequence[float], *, replicate: int = 0, tokens: int = 100, seconds: float = 1.0
) -> TrialMetrics:
    ms = np.asarray(values, dtype=np.float64)
    return TrialMetrics(
        arm="any",
        block=block,
        replicate=replicate,
        latency_ms={"ttft_ms": ms, "tpot_ms": np.zeros(0), "e2el_ms": ms + 100},
        duration_s=seconds,
        output_tokens=tokens,
        requests=len(ms),
        outcomes=Counter({"passed": len(ms)}),
        guard_errors=0,
        peak_memory_mib=None,
        cpu_s=0.0,
        energy_j=None,
    )


def drifting(blocks: int, factor: float, *, seed: int = 0, n: int = 40) -> list[TrialMetrics]:
    """Blocks that drift by 20 %, the same drift whatever the factor; requests of their own."""
    pace = np.random.default_rng(5).lognormal(0, 0.2, blocks)
    rng = np.random.default_rng(seed)
    return [trial(b, 100 * factor * pace[b] * rng.lognormal(0, 0.05, n)) for b in range(blocks)]


def compared(arm: list[TrialMetrics], first: list[TrialMetrics], second: list[TrialMetrics]) -> dict[str, Tax]:
    floor = estimate(by_block(first), by_block(second))
    return taxes({"arm": estimate(by_block([*first, *second]), by_block(arm))}, floor)["arm"]


def test_a_mean_is_the_t_interval_of_log_ratios_of_pooled_blocks() -> None:
    first, second, arm = (drifting(8, f, seed=s) for f, s in ((1, 1), (1, 2), (1.1, 3)))
    tax = compared(arm, first, second)[TTFT]
    base = [
        np.concatenate([a.latency_ms["ttft_ms"], b.latency_ms["ttft_ms"]]).mean()
        for a, b in zip(first, second, strict=True)
    ]
    mine = [t.latency_ms["ttft_ms"].mean() for t in arm]
    expected = stats.ttest_1samp(np.log(np.array(mine) / base), 0)
    low, high = expected.confidence_interval(0.95)
    assert tax.relative_ci95 == pytest.approx((np.expm1(low), np.expm1(high)))
    assert tax.p_value == pytest.approx(expected.pvalue)
    difference = stats.ttest_rel(mine, base).confidence_interval(0.95)
    assert tax.ci95 == pytest.approx((difference.low, difference.high))
    assert tax.verdict == "tax"


def test_a_quantile_tax_is_the_difference_of_the_pooled_quantiles() -> None:
    first, second, arm = (drifting(6, f, seed=s) for f, s in ((1, 1), (1, 2), (1.3, 3)))
    found = compared(arm, first, second)
    base, mine = (np.concatenate([t.latency_ms["ttft_ms"] for t in trials]) for trials in ([*first, *second], arm))
    for name, q in (("p50", 0.5), ("p90", 0.9)):
        tax = found[f"ttft_ms.{name}"]
        assert tax.absolute == pytest.approx(np.quantile(mine, q) - np.quantile(base, q))
        assert tax.relative == pytest.approx(np.quantile(mine, q) / np.quantile(base, q) - 1)
        assert tax.ci95[0] < tax.absolute < tax.ci95[1]


@pytest.mark.parametrize(("arm_n", "claimed"), [(458, False), (459, True)])
def test_a_tax_on_p99_needs_459_requests_in_each_arm(arm_n: int, claimed: bool) -> None:
    base = [trial(b, np.linspace(90, 110, 300)) for b in range(3)]
    arm = [trial(b, np.linspace(95, 115, n)) for b, n in enumerate((arm_n - 200, 100, 100))]
    assert ("ttft_ms.p99" in estimate(by_block(base), by_block(arm))) is claimed
    assert ("ttft_ms.p99" in estimate(by_block(arm), by_block(base))) is claimed


def test_what_equal_arms_show_too_is_below_the_noise_floor() -> None:
    """The second baseline is always 10 % slower, so an arm that is 8 % slower has shown nothing."""
    first, second, arm = (drifting(10, f, seed=s) for f, s in ((1, 1), (1.1, 2), (1.13, 3)))
    tax = compared(arm, first, second)[TTFT]
    assert tax.ci95[0] > 0
    assert tax.verdict == "below the noise floor"


def test_fewer_tokens_a_second_are_a_tax() -> None:
    rng = np.random.default_rng(1)
    first, second, slow, fast = (
        [trial(b, [50.0], seconds=f * rng.lognormal(0, 0.01)) for b in range(8)] for f in (1, 1, 1.2, 0.8)
    )
    assert compared(slow, first, second)[TOKENS_PER_S].verdict == "tax"
    assert compared(fast, first, second)[TOKENS_PER_S].verdict == "saving"


def test_without_a_second_baseline_nothing_is_claimed() -> None:
    base, arm = drifting(8, 1, seed=1), drifting(8, 2, seed=2)
    tax = taxes({"arm": estimate(by_block(base), by_block(arm))}, {})["arm"][TTFT]
    assert tax.p_value < 1e-6
    assert tax.verdict == "below the noise floor"


def test_a_figure_of_zero_has_no_relative_tax() -> None:
    tax = compared(drifting(4, 1, seed=3), drifting(4, 1, seed=1), drifting(4, 1, seed=2))["cpu_s"]
    assert (tax.absolute, tax.relative, tax.mde_relative) == (0, None, None)


def test_nobody_compares_one_block() -> None:
    assert estimate(by_block(drifting(1, 1)), by_block(drifting(1, 2))) == {}


def test_the_run_could_have_found_what_it_says() -> None:
    found = compared(drifting(8, 1.5, seed=3), drifting(8, 1, seed=1), drifting(8, 1, seed=2))[TTFT]
    assert found.mde_relative is not None
    half_width = (found.ci95[1] - found.ci95[0]) / 2
    assert half_width < found.mde < 2 * half_width
    assert 0 < found.mde_relative < 0.1


def test_a_claim_that_one_arm_may_make_is_not_made_for_one_of_four() -> None:
    floor = {TTFT: Estimates(TEstimate(0.0, 0.001, 9), None)}
    chance = {TTFT: Estimates(TEstimate(2.5, 1.0, 9), None)}
    alone = taxes({"a": chance}, floor)["a"][TTFT]
    assert (round(alone.p_holm, 3), alone.verdict) == (0.034, "tax")
    among = taxes({"a": chance, "b": chance, "c": chance, "d": chance}, floor)["a"][TTFT]
    assert (round(among.p_holm, 3), among.verdict) == (0.135, "no difference found")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.9, 1.3), min_size=1, max_size=4), st.integers(0, 1000))
def test_more_arms_never_make_a_claim_easier(factors: list[float], seed: int) -> None:
    first, second = (by_block(drifting(5, 1, seed=seed + s, n=8)) for s in (0, 1))
    floor = _means(estimate(first, second))
    arms = {f"a{i}": _arm(first, f, seed + 2 + i) for i, f in enumerate(factors)}
    together = taxes(arms, floor)
    for name, estimates in arms.items():
        alone = taxes({name: estimates}, floor)[name][TTFT]
        both = together[name][TTFT]
        assert both.p_holm >= alone.p_holm == alone.p_value == both.p_value
        assert both.verdict in (alone.verdict, "no difference found")


def _arm(base: dict[int, BlockFigures], factor: float, seed: int) -> dict[str, Estimates]:
    return _means(estimate(base, by_block(drifting(5, factor, seed=seed, n=8))))


def _means(estimates: dict[str, Estimates]) -> dict[str, Estimates]:
    return {TTFT: estimates[TTFT]}
