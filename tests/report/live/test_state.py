"""The state that every observer keeps: cells, time left, standing."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guards.trace import GuardVerdict
from guards.verdict import Action, Status, Verdict
from profiler.plan import PlannedTrial, plan_block
from profiler.records.record import Outcome, RequestRecord
from profiler.report.live.cells import KEPT_S, Cells, TrialCells
from profiler.report.live.outline import Outline
from profiler.report.live.state import RunState
from profiler.scenario import UntilConfig
from tests.analysis.made_trials import request, trial

S = 10**9


def outline(**changed: object) -> Outline:
    return replace(Outline(Path("r"), "quick", "m", ("none", "a"), 4, 10), **changed)  # type: ignore[arg-type]


def answer(first_s: float, last_s: float, tokens: int = 100) -> RequestRecord:
    return replace(
        request(0), scheduled_ns=0, sent_ns=0, first_ns=round(first_s * S) or 1, last_ns=round(last_s * S),
        output_tokens=tokens,
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(st.floats(0.001, 20), st.floats(0, 20), st.integers(0, 500)).map(
            lambda made: answer(made[0], made[0] + made[1], made[2])
        ),
        max_size=20,
    )
)
def test_no_token_is_lost_or_made_up(records: list[RequestRecord]) -> None:
    cells = TrialCells(0)
    for record in records:
        cells.add(record)
    assert sum(cells.tokens) == pytest.approx(sum(r.output_tokens for r in records), abs=1e-3)
    assert sum(cells.firsts) == len(records)
    shown = cells.settled(45 * S, over=True)
    assert len(shown.tokens_per_s) == len(shown.ttft_ms) == 45
    assert sum(v or 0 for v in shown.tokens_per_s) == pytest.approx(sum(r.output_tokens for r in records), abs=1e-3)


def test_cells_that_may_still_grow_are_not_shown() -> None:
    cells = TrialCells(0)
    cells.add(answer(1.0, 3.0))
    assert cells.tokens == pytest.approx([0, 50, 50, 0])
    assert len(cells.settled(4 * S).tokens_per_s) == 1  # the longest answer took 3 s
    assert len(cells.settled(4 * S, over=True).tokens_per_s) == 4
    # The last part of a second counts for as long as it lasted.
    cells.add(answer(4.0, 4.5, 30))
    assert cells.settled(round(4.5 * S), over=True).tokens_per_s[-1] == pytest.approx(60)


def test_what_failed_or_has_no_text_is_in_no_cell() -> None:
    cells = TrialCells(0)
    cells.add(replace(request(0), outcome=Outcome.ERROR, first_ns=0))
    assert cells.tokens == []


def test_an_arm_keeps_the_last_two_minutes() -> None:
    kept = Cells([1.0] * 100, [None] * 100).then(Cells([2.0] * 100, [3.0] * 100))
    assert list(kept.tokens_per_s) == [1.0] * (KEPT_S - 100) + [2.0] * 100
    assert list(kept.ttft_ms)[-1] == 3.0


def told(state: RunState, index: int, now_s: float, e2el_ms: float = 500.0) -> None:
    (planned,) = [t for t in plan_block(["none", "a"], index // 3, 1) if t.index == index]
    state.trial_started(planned, round(now_s * S))
    records = [request(i, service_ms=e2el_ms + index % 2) for i in range(10)]
    for record in records:
        state.request_done(record)
    made = trial(index, planned.block, planned.arm, records, replicate=planned.replicate)
    state.trial_ended(made.info)
    state.learn(made)


def test_time_left_follows_how_long_the_trials_take() -> None:
    state = RunState(outline())
    assert state.seconds_left(0) is None
    for index in range(3):
        told(state, index, 10.0 * index)
    (fourth,) = [t for t in plan_block(["none", "a"], 1, 1) if t.index == 3]
    state.trial_started(fourth, 30 * S)
    assert state.seconds_left(30 * S) == pytest.approx(90)
    assert state.seconds_left(34 * S) == pytest.approx(86)
    assert state.seconds_left(60 * S) == pytest.approx(80)  # late, and no less than the trials to come


def test_a_run_that_is_gone_on_with_has_less_left() -> None:
    state = RunState(outline(before=6))
    told(state, 6, 0.0)
    state.trial_started(PlannedTrial(7, 2, "none", 0), 10 * S)
    assert state.seconds_left(10 * S) == pytest.approx(50)


def test_under_until_the_blocks_to_come_are_guessed_from_the_widths() -> None:
    until = UntilConfig(metric="e2el_mean", half_width=0.0001, min_blocks=2, max_blocks=9)
    state = RunState(outline(blocks=None, until=until))
    for index in range(3):
        told(state, index, 10.0 * index, 500.0 + index)
    assert state.expected_trials() is None
    for index in range(3, 6):
        told(state, index, 10.0 * index, 500.0 + index)
    assert state.arms["a"].standing is not None
    assert state.expected_trials() == 9 * 3
    assert len(state.arms["a"].widths) == 1


def test_verdicts_are_counted_by_guard_and_by_what_they_came_to() -> None:
    state = RunState(outline())
    state.trial_started(PlannedTrial(0, 0, "a", 0), 0)
    blocked = GuardVerdict("g", Verdict(Action.BLOCK), 0)
    failed = GuardVerdict("g", Verdict(Action.ALLOW, status=Status.TIMEOUT), 0)
    for verdicts in ((blocked, failed), (blocked,)):
        state.request_done(replace(request(0), verdicts=verdicts))
    assert dict(state.verdicts) == {("g", "block"): 2, ("g", "timeout"): 1}
