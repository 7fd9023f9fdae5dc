"""What the view shows: it fits, it is safe, it says what was not measured."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from guards.trace import GuardVerdict
from guards.verdict import Action, Verdict
from profiler.plan import PlannedTrial, plan_block
from profiler.report.live.frame import frame
from profiler.report.live.sparkline import sparkline
from profiler.report.live.state import RunState
from profiler.scenario import UntilConfig
from tests.analysis.made_trials import request, trial
from tests.report.live.test_state import S, outline

HOSTILE = "\x1b[2J[red]\u202eevil\n"
ARMS = ("none", "a", HOSTILE, *(f"arm {i}" for i in range(20)))


def state_of(arms: tuple[str, ...] = ("none", "a"), **changed: object) -> RunState:
    """Two blocks are done, a trial of the third is under way: 30 s each, an answer every 100 ms."""
    state = RunState(outline(arms=arms, not_measured={"gpu": "no NVML", "cpu_energy": "no RAPL"}, **changed))
    said = (GuardVerdict(HOSTILE, Verdict(Action.BLOCK), 0), GuardVerdict("g", Verdict(Action.ALLOW), 0))
    for planned in (one for block in range(3) for one in plan_block(list(arms), block, 1)):
        state.trial_started(planned, (1 + planned.index) * S)
        slow_ms = (0 if planned.arm == "none" else 100) + 3 * planned.block * (planned.arm == "a")
        for index in range(10):
            made = request(index, service_ms=500 + slow_ms)
            shift = planned.index * S
            state.request_done(
                replace(
                    made, scheduled_ns=made.scheduled_ns + shift, sent_ns=made.sent_ns + shift,
                    first_ns=made.first_ns + shift, last_ns=made.last_ns + shift, verdicts=said,
                )
            )  # fmt: skip
        if planned.index == 2 * (len(arms) + 1):
            return state
        records = [request(i, service_ms=500 + slow_ms) for i in range(10)]
        stored = trial(planned.index, planned.block, planned.arm, records, replicate=planned.replicate)
        state.trial_ended(stored.info)
        state.learn(stored)
    raise AssertionError("the plan is longer")


def lines_of(state: RunState, width: int, height: int) -> list[str]:
    now_ns = 8 * S if state.time.first_ns else 0
    return frame(state, now_ns, width, height).plain.split("\n")


def test_80_by_24_shows_where_the_run_is_and_each_arm_beside_the_baseline() -> None:
    lines = lines_of(state_of(), 80, 24)
    page = "\n".join(lines)
    assert "block 3/4 trial 7/12" in page and "10/10 requests" in page
    assert "% " in page and " left" in page
    (baseline,) = [line for line in lines if line[2:].startswith("none")]
    (arm,) = [line for line in lines if line[2:].startswith("a ")]
    assert any(block in baseline for block in "▁▂▃▄▅▆▇█") and any(block in arm for block in "▁▂▃▄▅▆▇█")
    assert "+20.3 ±" in arm
    assert "not measured: GPU energy, clocks, heat, memory (no NVML); CPU energy (no RAPL)" in page
    assert page.count("not measured") == 1
    assert " 0 W" not in page and "power" not in page


def test_under_until_the_goal_stands_beside_the_width() -> None:
    until = UntilConfig(metric="e2el_mean", half_width=0.02, min_blocks=2)
    page = "\n".join(lines_of(state_of(until=until, blocks=None), 80, 24))
    assert "tax on e2el_mean to ±2 %" in page
    assert "about " in page and ", at most 29:5" in page


@pytest.mark.parametrize("size", [(80, 24), (60, 24), (40, 12), (80, 8)])
def test_names_from_a_scenario_do_nothing_to_the_terminal(size: tuple[int, int]) -> None:
    page = "\n".join(lines_of(state_of(ARMS, name=HOSTILE, model=HOSTILE), *size))
    assert "\x1b" not in page and "\u202e" not in page


def test_where_arms_do_not_fit_the_baseline_and_the_one_under_way_stay() -> None:
    state = state_of(ARMS)
    assert state.trial is not None
    lines = lines_of(state, 80, 12)
    names = [line[2:16].strip() for line in lines]
    assert "none" in names
    assert any(line.startswith("> ") for line in lines)
    assert any("more" in line for line in lines)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 60), many=st.booleans())
def test_it_fits_whatever_the_terminal_is(width: int, height: int, many: bool) -> None:
    lines = lines_of(_MANY if many else _FEW, width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width


_FEW, _MANY = state_of(), state_of(ARMS)


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=300), st.integers(0, 60))
def test_a_sparkline_is_as_long_as_its_values_and_never_wider_than_it_may_be(
    values: list[float | None], width: int
) -> None:
    for ascii_only in (False, True):
        shown = sparkline(values, width, 1e6, ascii_only=ascii_only)
        assert len(shown) == min(len(values), width)


def test_a_sparkline_goes_from_nothing_to_the_top_and_leaves_gaps() -> None:
    assert sparkline([0.0, None, 5.0, 10.0], 4, 10.0) == "▁ ▅█"
    assert sparkline([0.0, 10.0, 10.0, 10.0], 2, 10.0) == "▅█"
    assert sparkline([1.0], 4, 0.0) == "▁"


def test_before_the_first_trial_it_warms_up() -> None:
    assert "warming up" in "\n".join(lines_of(RunState(outline()), 80, 24))
    state = RunState(outline())
    state.trial_started(PlannedTrial(0, 0, "none", 1), 0)
    assert "block 1/4 trial 1/12: none, again, 0/10 requests" in "\n".join(lines_of(state, 80, 24))


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("width", range(1, 90))
def test_no_figure_is_cut(width: int, ascii_only: bool) -> None:
    state = state_of(("none", "é" * 14))
    for arm in state.arms.values():
        arm.tokens, arm.seconds, arm.ttft_ms, arm.answered = 55555, 1.0, 12346.0, 1
    assert state.trial is not None
    state.trial.requests = 0
    lines = frame(state, 8 * S, width, 24, ascii_only=ascii_only).plain.split("\n")
    rows = [line for line in lines if line[:3] in ("> n", "  n", "> ?", "  ?", "> \u00e9", "  \u00e9")]
    figures = [word for row in rows for word in row[2:].split() if word.isdecimal()]
    assert set(figures) <= {"55555", "12346"}
    assert ("12346" in figures) == (width >= 22) and ("55555" in figures) == (width >= 14)


def test_an_ascii_terminal_gets_ascii() -> None:
    page = frame(state_of(("none", "é")), 8 * S, 80, 24, ascii_only=True).plain
    assert page.isascii() and " +-" in page


def test_time_before_a_resume_counts_as_the_run_s() -> None:
    until = UntilConfig(metric="e2el_mean", half_width=0.02, min_blocks=2)
    state = RunState(outline(until=until, blocks=None))
    found = trial(0, 0, "none", [request(i) for i in range(10)])
    state.trial_found(replace(found, info=replace(found.info, started_ns=0, ended_ns=600 * S)))
    state.trial_started(PlannedTrial(1, 0, "a", 0), 0)
    assert ", at most 20:00" in "\n".join(lines_of(state, 80, 24))


def test_verdicts_of_before_a_resume_are_not_counted_and_it_says_so() -> None:
    assert "since the run was gone on with" not in "\n".join(lines_of(state_of(), 80, 24))
    assert "(since the run was gone on with)" in " ".join("\n".join(lines_of(state_of(before=3), 80, 24)).split())
