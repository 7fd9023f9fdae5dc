"""Each rule of validity: something that makes it fire, and the same run without it, where it keeps quiet."""

from collections.abc import Callable, Mapping

import pytest

from profiler.analysis.validity import Finding, findings
from profiler.records.record import Outcome, RequestRecord
from profiler.records.store import StoredTrial
from tests.analysis.made_trials import request, trial

Make = Callable[[int], RequestRecord]


def run(arm: Make, baseline: Make = request, *, n: int = 50, throttled: bool | None = None) -> list[StoredTrial]:
    """Two blocks: the baseline twice and the arm `guard` in each, n requests a trial."""
    trials = []
    for block in range(2):
        for place, (name, replicate, make) in enumerate(
            [("none", 0, baseline), ("guard", 0, arm), ("none", 1, baseline)]
        ):
            hot = throttled if name == "guard" else None
            records = [make(i) for i in range(n)]
            trials.append(trial(3 * block + place, block, name, records, replicate=replicate, throttled=hot))
    return trials


def found(
    trials: list[StoredTrial], claimed: Mapping[tuple[str, str], float] | None = None, *, open_loop: bool = True
) -> list[tuple[str, str, bool]]:
    said = findings(trials, claimed or {}, open_loop=open_loop)
    assert all(one.text.startswith("INVALID: ") == one.invalid for one in said)
    return [(one.rule, one.arm, one.invalid) for one in said]


def lagging(lag_ms: float) -> Make:
    return lambda i: request(i, lag_ms=lag_ms)


def test_a_run_without_fault_may_be_believed() -> None:
    claimed = {("guard", "ttft_ms.mean"): 20.0, ("guard", "e2el_ms.p50"): 30.0}
    assert findings(run(lagging(0.2), lagging(0.3), throttled=False), claimed, open_loop=True) == ()


def test_dispatch_later_than_a_millisecond_makes_an_open_loop_invalid() -> None:
    said = findings(run(lagging(1.3)), {}, open_loop=True)
    assert said == (
        Finding(
            "lag",
            "guard",
            "INVALID: requests were sent late (lag p99 1.3 ms, at most 1 ms): this was not the load asked for: "
            "lower the rate or free a core",
            True,
        ),
    )
    assert found(run(request, lagging(1.3))) == [("lag", "none", True)]
    assert found(run(lagging(1.0))) == []
    # One in 200 may be late: the rule is on the p99.
    assert found(run(lambda i: request(i, lag_ms=50 if i == 7 else 0), n=200)) == []


def test_in_a_closed_loop_a_late_start_is_said_and_not_fatal() -> None:
    assert found(run(lagging(1.3)), open_loop=False) == [("lag", "guard", False)]


@pytest.mark.parametrize("open_loop", [True, False])
def test_a_lag_of_a_tenth_of_the_claimed_tax_voids_it(open_loop: bool) -> None:
    late = lagging(0.5)

    def rules(tax_ms: float, figure: str = "ttft_ms.mean", arm: Make = late, base: Make = request) -> list[str]:
        return [rule for rule, *_ in found(run(arm, base), {("guard", figure): tax_ms}, open_loop=open_loop)]

    assert rules(4.9) == ["lag-of-tax"]
    assert rules(-4.9) == ["lag-of-tax"]
    assert rules(5.1) == []
    # In either of the two that were compared; time per token begins after the lag.
    assert rules(4.9, arm=request, base=late) == ["lag-of-tax"]
    assert rules(0.1, "tpot_ms.mean") == []


def test_a_tax_on_a_p99_needs_459_requests_in_both_arms() -> None:
    claimed = {("guard", "ttft_ms.p99"): 50.0}
    assert found(run(request, n=229), claimed) == [("p99-requests", "guard", True)]  # 458 of the arm
    assert found(run(request, n=230), claimed) == []
    assert found(run(request, n=229), {("guard", "ttft_ms.p90"): 50.0}) == []

    def half_failed(index: int) -> RequestRecord:
        return request(index, outcome=Outcome.ERROR if index % 2 else Outcome.PASSED)

    assert ("p99-requests", "guard", True) in found(run(half_failed, n=230), claimed)


def test_answers_of_another_length_than_the_baselines_are_another_work() -> None:
    assert found(run(lambda i: request(i, tokens=17))) == [("lengths", "guard", True)]
    assert found(run(lambda i: request(i, tokens=23))) == [("lengths", "guard", True)]
    assert found(run(lambda i: request(i, tokens=18))) == []
    assert found(run(lambda i: request(i, tokens=22))) == []


def test_blocked_and_cut_answers_do_not_count_as_short_ones() -> None:
    def guarded(index: int) -> RequestRecord:
        # The long answers are the blocked ones: only the same requests may be compared.
        if index % 5 == 0:
            return request(index, tokens=2, finish="cut", outcome=Outcome.BLOCKED)
        return request(index, tokens=20)

    assert found(run(guarded, lambda i: request(i, tokens=400 if i % 5 == 0 else 20))) == []


def test_natural_lengths_may_differ_and_it_is_said() -> None:
    def natural(tokens: int) -> Make:
        return lambda i: request(i, tokens=tokens, finish="stop")

    assert found(run(natural(12), natural(20))) == [("lengths", "guard", False)]
    assert found(run(natural(19), natural(20))) == []


def test_a_gpu_that_throttled_makes_the_arm_invalid() -> None:
    assert found(run(request, throttled=True)) == [("throttled", "guard", True)]
    assert found(run(request, throttled=None)) == []


def test_failed_requests_make_the_arm_invalid() -> None:
    def failing(index: int) -> RequestRecord:
        return request(index, outcome=Outcome.ERROR if index == 3 else Outcome.PASSED)

    said = findings(run(failing), {}, open_loop=True)
    assert [(one.rule, one.arm, one.invalid) for one in said] == [("failed", "guard", True)]
    assert "2 of 100 requests failed" in said[0].text


def test_a_run_without_a_baseline_or_without_requests_is_no_error() -> None:
    alone = [trial(0, 0, "guard", [request(0)]), trial(1, 1, "guard", [])]
    assert findings(alone, {}, open_loop=True) == ()
    assert findings([], {}, open_loop=True) == ()
