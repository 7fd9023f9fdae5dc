"""The verdict in words says all that the tables claim, with the interval that decided."""

import math
from dataclasses import replace

import pytest

from profiler.analysis.comparison import Tax
from profiler.analysis.figure import Figure, not_measured
from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult, analyse
from profiler.records.store import read_run
from profiler.report.html.page import page_of
from tests.report.html.made import modelled
from tests.report.html.reading import parsed

UP = Tax(-3.0, 0.06, (-9.0, 3.0), (0.02, 0.1), 0.01, 0.01, "tax", 1.0, 0.01)
DOWN = replace(UP, absolute=5.0, relative=-0.2, relative_ci95=(-0.3, -0.1), verdict="saving")
MEMORY = replace(UP, absolute=172.0, ci95=(170.0, 174.0))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return analyse(read_run(modelled(tmp_path_factory.mktemp("runs") / "made", blocks=2, arms=("none", "delay"))))


def said(result: RunResult, taxes: dict[str, Tax], floor: dict[str, Tax] | None = None, **changed: object) -> str:
    arm = replace(result.arms["delay"], tax=taxes, **changed)  # type: ignore[arg-type]
    changed_result = replace(result, arms={**result.arms, "delay": arm}, noise_floor=floor or {})
    return parsed(page_of(changed_result, None)).one("ul", class_="verdicts").text


def test_a_claim_on_no_headline_metric_is_told_in_short(result: RunResult) -> None:
    found = said(result, {"e2el_ms.mean": replace(UP, verdict="no difference found"), "peak_memory_mib": MEMORY})
    assert "Claimed: a tax on memory." in found and "No tax and no saving" not in found
    found = said(result, {"e2el_ms.mean": UP, "peak_memory_mib": MEMORY, "cpu_s.engine_core": DOWN})
    assert "Also claimed: a tax on memory; a saving on CPU of engine core." in found


def test_the_interval_that_decided_is_shown_and_the_verdict_gives_the_word(result: RunResult) -> None:
    assert "E2EL mean is 6.0 % longer [2.0, 10.0], -3.00 ms" in said(result, {"e2el_ms.mean": UP})
    assert "E2EL mean is 20.0 % shorter [10.0, 30.0], +5.00 ms" in said(result, {"e2el_ms.mean": DOWN})
    assert "Throughput is 20.0 % higher" in said(
        result, {"output_tokens_per_s.mean": replace(DOWN, relative=0.2, relative_ci95=(0.1, 0.3))}
    )
    # Without a relative floor the absolute scale decided.
    absolute = replace(UP, absolute=30.0, ci95=(20.0, 40.0))
    floor = {"e2el_ms.mean": replace(UP, relative=None, relative_ci95=None)}
    assert "E2EL mean is 30.0 ms longer [20.0, 40.0]." in said(result, {"e2el_ms.mean": absolute}, floor)


def test_what_was_not_bought_or_not_bounded_is_said(result: RunResult) -> None:
    assert "what it bought: not measured: no figures" in said(result, {}, benefit=None)
    benefit = result.arms["delay"].benefit
    assert benefit is not None
    wide, none = Figure(Interval(0.5, -math.inf, math.inf, 0.95), 1), not_measured("no judge here")
    handled = {**benefit.labels, "benign": replace(benefit.labels["benign"], either=none)}
    made = replace(benefit, labels=handled, figures={**benefit.figures, "attack_success": wide}, against_baseline={
        "harmful.attack_success": wide})  # fmt: skip
    found = said(result, {}, benefit=made)
    assert "50 % (interval not known) of harmful prompts got an answer (+50 points against the baseline" in found
    assert "against the baseline, interval not known)" in found
    assert "how many benign prompts got no answer: not measured: no judge here" in found
