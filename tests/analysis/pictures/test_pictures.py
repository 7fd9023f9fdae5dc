"""What the pictures show is what the run has: exact quantiles, sums that close, windows and requests of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.analysis.ledger_entries import Ledger
from profiler.analysis.pictures.ecdf import MARKED, curves
from profiler.analysis.pictures.forest import forest
from profiler.analysis.pictures.fractions import fractions
from profiler.analysis.pictures.front import benefit_front
from profiler.analysis.pictures.load_latency import load_points
from profiler.analysis.pictures.memory import memory_bars
from profiler.analysis.pictures.power import _zeros, power
from profiler.analysis.pictures.timelines import request_lines
from profiler.analysis.pictures.waterfall import steps
from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult, analyse
from profiler.records.record import Outcome
from profiler.records.store import StoredTrial, read_run
from tests.analysis.made_trials import request, trial
from tests.gate.stored import stored_run
from tests.meters.test_metered_run import metered_run
from tests.report.html.made import modelled


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return analyse(read_run(modelled(tmp_path_factory.mktemp("runs") / "made")))


def test_marked_quantiles_are_those_of_the_tables(result: RunResult) -> None:
    found = curves(result)
    assert len(found) == 3 * len(result.arms)
    for curve in found:
        summary = result.arms[curve.arm].latency[curve.metric]
        assert summary is not None and curve.count == summary.count
        at = [float(curve.ms[list(curve.share).index(q)]) for q in MARKED]
        assert at == pytest.approx([summary.p50, summary.p90, summary.p99])
        assert (np.diff(curve.ms) >= 0).all() and len(curve.ms) < 300


def test_an_arm_without_a_claim_lies_within_the_floor_or_touches_no_difference(tmp_path: Path) -> None:
    """The floor is the A/A's own size in both directions, on ratios: 1 / 1.1 is as far as 1.1."""
    found = forest(analyse(read_run(stored_run(tmp_path / "r", {"none": 500.0, "guard": 600.0}, noise=0.05))))
    panels = {panel.metric: panel for panel in found}
    panel = panels["e2el_ms.mean"]
    assert panel.floor is not None
    low, high = panel.floor
    assert low < 0 < high and (1 + low) * (1 + high) == pytest.approx(1)
    (row,) = panel.rows
    assert row.tax.verdict == "tax" and row.relative.estimate > high


intervals = st.floats(-1000, 1000).map(lambda x: Interval(x, x - 1, x + 1, 0.95))


@settings(deadline=None)
@given(*[intervals] * 5)
def test_each_step_begins_where_the_last_one_ended(
    direct: Interval, induced: Interval, waste: Interval, saved: Interval, residual: Interval
) -> None:
    total = sum(i.estimate for i in (direct, induced, waste, saved, residual))
    measured = Interval(total, total - 1, total + 1, 0.95)
    ledger = Ledger("a", "e2el_ms", 1.0, measured, direct, induced, waste, saved, residual, {}, None, False)
    found = steps(ledger)
    assert [s.entry for s in found] == ["direct", "induced", "waste", "saved", "residual", "measured"]
    assert found[0].start == found[-1].start == 0
    assert all(a.end == b.start for a, b in zip(found[:4], found[1:5], strict=True))
    assert found[4].end == pytest.approx(found[5].end, abs=1e-6)


def test_fractions_have_the_runs_own_and_the_asked_share(result: RunResult) -> None:
    found = fractions(result, 0.02)
    mine = [point for point in found.points if point.arm == "block"]
    assert {0.0, 0.02, 1.0, round(found.harmful, 6)} <= {point.harmful for point in mine}
    first, last = (point.tax.absolute for point in (mine[0], mine[-1]))
    assert first is not None and last is not None
    # What it blocks it answers at once: the more of it there is, the less an arm costs.
    assert first.estimate > last.estimate


def test_the_front_is_what_no_arm_beats_in_both(result: RunResult) -> None:
    found = {point.arm: point for point in benefit_front(result).points}
    assert found["none"].tax.estimate == 0
    assert found["block"].attack_success.estimate == 0
    assert found["block"].beaten_by == ""
    assert found["delay"].beaten_by and found["delay"].attack_success.estimate == 1


def test_an_arm_that_lacks_a_figure_is_named(tmp_path: Path) -> None:
    found = benefit_front(analyse(read_run(stored_run(tmp_path / "r", {"none": 500.0, "guard": 600.0}))))
    assert found.points == () and set(found.lacking) == {"none", "guard"}


def test_requests_are_those_at_the_quantiles_and_one_that_was_blocked(result: RunResult) -> None:
    found = {(line.arm, line.which): line for line in request_lines(result)}
    for arm in result.arms:
        summary = result.arms[arm].latency["e2el_ms"]
        assert summary is not None
        pooled = np.concatenate([t.latency_ms["e2el_ms"] for t in result.trials if t.arm == arm])
        nearest = pooled[np.abs(pooled - summary.p50).argmin()]
        assert found[arm, "median"].e2el_ms == pytest.approx(nearest)
        assert found[arm, "p99"].e2el_ms == pytest.approx(pooled[np.abs(pooled - summary.p99).argmin()])
    assert [key for key in found if key[1] == "blocked"] == [("block", "blocked")]
    assert found["block", "blocked"].outcome == Outcome.BLOCKED.value
    assert "block" in {tick.what for tick in found["block", "blocked"].ticks}


def test_a_line_has_the_engines_calls_and_the_guards_stages_in_the_requests_own_time(result: RunResult) -> None:
    (line,) = (one for one in request_lines(result) if (one.arm, one.which) == ("delay", "median"))
    lanes = {bar.lane: bar for bar in line.bars}
    assert lanes["delay"].end_ms - lanes["delay"].start_ms == pytest.approx(20, abs=0.5)
    engine = [bar for bar in line.bars if bar.lane == "engine"]
    assert engine[0].start_ms >= lanes["delay"].end_ms
    assert engine[-1].end_ms <= line.e2el_ms + 1e-6
    delivered = [tick.at_ms for tick in line.ticks if tick.lane == "user"]
    assert delivered[0] == pytest.approx(line.first_ms) and delivered[-1] == pytest.approx(line.e2el_ms)
    assert line.left_out == 0


def test_power_is_that_of_each_trials_own_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = power(analyse(read_run(metered_run(tmp_path, monkeypatch))))
    assert len(found.windows) == 12 and len(found.trials) == 12
    assert 0 < len(found.points) <= 2 * 1500
    for point in found.points:
        window = found.windows[point.trial]
        assert window.start_s <= point.at_s <= window.end_s
    for one in found.trials:
        assert one.mean_w == pytest.approx(360 if found.windows[one.trial].arm == "guard" else 300, abs=5)
        assert one.peak_w >= one.mean_w


def test_two_boots_clocks_are_drawn_one_after_the_other() -> None:
    """The second boot's clock is lower: in the order of time alone its trials would lie among the first's."""
    spans = [(1000, 1100), (1100, 1200), (1050, 1150), (1200, 1300)]
    zeros, breaks_s = _zeros([(began * 10**9, ended * 10**9) for began, ended in spans])
    placed = [(began - zero // 10**9, ended - zero // 10**9) for (began, ended), zero in zip(spans, zeros, strict=True)]
    assert placed == [(0, 100), (100, 200), (200, 300), (350, 450)]
    assert breaks_s == (200.0,)


def test_a_run_without_meters_has_no_power_and_no_roles(result: RunResult) -> None:
    assert power(result).points == ()
    assert memory_bars(result) == ()


def at_rate(place: int, rate_hz: float, service_ms: float) -> StoredTrial:
    made = trial(place, place, "none", [request(i, service_ms=service_ms + i) for i in range(400)])
    return StoredTrial(replace(made.info, rate_hz=rate_hz), made.table)


def test_load_points_pool_the_trials_of_a_rate() -> None:
    found = load_points([at_rate(0, 2.0, 500), at_rate(1, 1.0, 300), at_rate(2, 2.0, 500)])
    e2el = {(point.rate_hz, point.q): point for point in found if point.metric == "e2el_ms"}
    assert list(e2el) == [(1.0, 0.5), (1.0, 0.99), (2.0, 0.5), (2.0, 0.99)]
    # Of 400 requests that take 300 to 699 ms the first 80 are left out.
    assert e2el[1.0, 0.5].ms.estimate == pytest.approx(539.5)
    assert (e2el[2.0, 0.99].requests, e2el[1.0, 0.99].requests) == (640, 320)
    assert e2el[1.0, 0.5].ms.low < 539.5 < e2el[1.0, 0.5].ms.high


def test_a_trial_whose_backlog_grew_has_no_latency_under_load() -> None:
    stopped = at_rate(0, 3.0, 500)
    assert load_points([StoredTrial(replace(stopped.info, stopped="over-saturated"), stopped.table)]) == ()
