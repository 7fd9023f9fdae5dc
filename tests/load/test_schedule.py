"""A scenario's load, as its requests see it: when they are due, how long they are, the same in every arm."""

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.cli import main
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.load import TraceRow, quiet_gc, window
from profiler.load.schedule import fit, lengthened
from profiler.prompts import read_prompt_sets, trace_note
from profiler.records.record import RequestRecord
from profiler.scenario import Scenario, load_scenario
from profiler.trial import Outcomes, Stop, Workload, run_trial

ROOT = Path(__file__).parents[2]
AZURE = ROOT.parent / "shared" / "data" / "azure_llm_trace_conv_2023.csv"


@pytest.fixture(autouse=True, scope="module")
def one_collection() -> Iterator[None]:
    """Collect once for all: each trial would anew, over the heap of the whole test run."""
    with quiet_gc():
        yield


def scenario_with(tmp_path: Path, load: dict[str, Any], **changed: Any) -> Scenario:
    raw: dict[str, Any] = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    for key in ("benign", "borderline", "harmful", "warmup"):
        raw["prompts"][key] = str(ROOT / "scenarios" / raw["prompts"][key])
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(raw | {"load": load} | changed))
    return load_scenario(path)


def run(work: Workload, stop: Stop | None = None) -> Outcomes:
    async def trial() -> Outcomes:
        more = {} if stop is None else {"stop": stop}
        stack = Tap(ModelledEngine(now_ns=now_ns, seed=3))
        return await run_trial(stack, work, "t", watch=lambda record: None, now_ns=now_ns, **more)

    return run_virtual(trial)


def due_ms(found: Outcomes) -> list[float]:
    return [(record.scheduled_ns - found.started_ns) / 1e6 for record in found.records]


def drawn(scenario: Scenario, block: int = 0) -> Workload:
    return Workload.draw(scenario, read_prompt_sets(scenario), block)


def trace_file(tmp_path: Path, rows: Sequence[tuple[float, int, int]]) -> dict[str, Any]:
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens", *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "trace.csv").write_text("\n".join(lines))
    return {"kind": "trace", "file": "trace.csv"}


def test_constant_arrivals_are_even(tmp_path: Path) -> None:
    found = run(drawn(scenario_with(tmp_path, {"kind": "constant", "rate_hz": 20})))
    assert due_ms(found) == [50 * i for i in range(8)]
    assert [record.sent_ns - record.scheduled_ns for record in found.records] == [0] * 8


@pytest.mark.parametrize(
    "load",
    [
        {"kind": "poisson", "rate_hz": 4},
        {"kind": "gamma", "rate_hz": 4, "burstiness": 0.25},
        {"kind": "ramp", "start_hz": 2, "end_hz": 8},
    ],
    ids=lambda load: str(load["kind"]),
)
def test_random_arrivals_are_the_same_in_each_arm_and_new_in_each_block(tmp_path: Path, load: dict[str, Any]) -> None:
    scenario = scenario_with(tmp_path, load)
    first = due_ms(run(drawn(scenario)))
    assert first == sorted(first)
    assert due_ms(run(drawn(scenario))) == first
    assert due_ms(run(drawn(scenario, block=1))) != first


def test_gamma_is_burstier_and_a_ramp_gets_faster(tmp_path: Path) -> None:
    def gaps(load: dict[str, Any]) -> Any:
        return np.diff(due_ms(run(drawn(scenario_with(tmp_path, load, requests_per_trial=200)))))

    bursty, even = (gaps({"kind": "gamma", "rate_hz": 50, "burstiness": b}) for b in (0.25, 25))
    assert bursty.std() / bursty.mean() > 1.4  # 2 in the limit
    assert even.std() / even.mean() < 0.3  # 0.2 in the limit
    ramp = gaps({"kind": "ramp", "start_hz": 10, "end_hz": 100})
    assert ramp[:50].mean() > 2 * ramp[-50:].mean()


def test_a_trace_gives_arrivals_answer_lengths_and_prompt_lengths(tmp_path: Path) -> None:
    load = trace_file(tmp_path, [(10, 200, 7), (10.5, 20, 3), (13, 150, 11)]) | {"time_scale": 0.5}
    work = drawn(scenario_with(tmp_path, load, requests_per_trial=3))
    found = run(work)
    assert due_ms(found) == [0, 250, 1500]
    assert [record.output_tokens for record in found.records] == [7, 3, 11]
    assert {record.finish_reason for record in found.records} == {"length"}
    assert [len(work.prompts[i].prompt) // 4 for i in (0, 2)] == pytest.approx([200, 150], abs=4)


def test_a_traces_answers_have_their_length_whatever_the_output_setting(tmp_path: Path) -> None:
    load = trace_file(tmp_path, [(0, 20, 300)] * 8)
    scenario = scenario_with(tmp_path, load, output={"length": "natural", "max_tokens": 5}, engine={})
    assert {record.output_tokens for record in run(drawn(scenario)).records} == {300}


def test_each_block_replays_the_next_rows_and_starts_again_at_the_end(tmp_path: Path) -> None:
    load = trace_file(tmp_path, [(0, 5, 1), (1, 5, 2), (3, 5, 3), (4, 5, 4), (9, 5, 5)])
    scenario = scenario_with(tmp_path, load, requests_per_trial=2)
    # The mean gap of 2.25 s lies between the last row and the first one again.
    assert [[row.output_tokens for row in drawn(scenario, block).rows] for block in range(3)] == [
        [1, 2],
        [3, 4],
        [5, 1],
    ]
    assert [due_ms(run(drawn(scenario, block)))[1] for block in range(3)] == [1000, 1000, 2250]
    limited = scenario_with(tmp_path, load | {"limit": 2}, requests_per_trial=2)
    assert [row.output_tokens for row in drawn(limited, 1).rows] == [1, 2]


def test_a_trace_of_longer_texts_than_the_engine_takes_is_cut_and_said(tmp_path: Path) -> None:
    load = trace_file(tmp_path, [(0, 100_000, 900), (1, 10, 5)])
    scenario = scenario_with(tmp_path, load, requests_per_trial=2, engine={"max_model_len": 1024})
    row = drawn(scenario).rows[0]
    assert row.output_tokens == 512
    assert 200 < row.prompt_tokens < 1024 - 512
    assert trace_note(scenario, read_prompt_sets(scenario)) == (
        "load.file: 1 of 2 rows are longer than engine.max_model_len 1024 allows: cut to fit"
    )
    roomy = scenario_with(tmp_path, load, requests_per_trial=2, engine={})
    assert drawn(roomy).rows[0].prompt_tokens == 100_000
    assert trace_note(roomy, read_prompt_sets(roomy)) == ""


@given(gaps_ms=st.lists(st.integers(0, 5000), min_size=1, max_size=12), n=st.integers(1, 30), block=st.integers(0, 5))
@settings(max_examples=50)
def test_windows_follow_each_other_without_a_gap_or_an_overlap(gaps_ms: list[int], n: int, block: int) -> None:
    times = np.cumsum(gaps_ms).tolist()
    rows = tuple(TraceRow((time - times[0]) * 10**6, 1 + i, i) for i, time in enumerate(times))
    both = window(rows, 2 * n, block)
    first, second = window(rows, n, 2 * block), window(rows, n, 2 * block + 1)
    assert [row.output_tokens for row in both] == [row.output_tokens for row in (*first, *second)]
    assert first[0].offset_ns == second[0].offset_ns == 0
    assert all(a.offset_ns <= b.offset_ns for a, b in zip(both, both[1:], strict=False))
    shift_ns = both[n].offset_ns
    assert [row.offset_ns for row in both[n:]] == [row.offset_ns + shift_ns for row in second]


@given(prompt=st.integers(1, 10**6), output=st.integers(0, 10**6), allowed=st.integers(128, 32_768))
def test_fitted_lengths_always_fit(prompt: int, output: int, allowed: int) -> None:
    row = fit(TraceRow(0, prompt, output), allowed)
    assert 1 <= row.output_tokens <= max(output, 1)
    assert 1 <= row.prompt_tokens <= prompt
    assert row.prompt_tokens + row.output_tokens <= allowed


@given(words=st.lists(st.text("abcdefg", min_size=1, max_size=9), min_size=1, max_size=9), tokens=st.integers(1, 300))
def test_a_prompt_is_lengthened_with_its_own_words_and_never_cut(words: list[str], tokens: int) -> None:
    text = " ".join(words)
    found = lengthened(text, tokens)
    assert found.startswith(text)
    assert set(found.split()) == set(words)
    assert 4 * tokens <= len(found) <= max(len(text), 4 * tokens + 10)


def test_the_azure_trace_is_replayed(tmp_path: Path) -> None:
    if not AZURE.is_file():
        pytest.skip(f"the Azure trace is not at {AZURE}: replay is tested on made-up rows only")
    load = {"kind": "trace", "file": str(AZURE), "time_scale": 0.1, "limit": 200}
    scenario = scenario_with(tmp_path, load, requests_per_trial=40, engine={"max_model_len": 4096})
    found = run(drawn(scenario))
    assert due_ms(found)[:3] == pytest.approx([0, 431.4579, 454.1877], abs=1e-3)
    assert [record.output_tokens for record in found.records[:3]] == [44, 109, 55]
    assert len(found.records) == 40
    # On time whatever becomes of the earlier ones.
    assert all(record.sent_ns == record.scheduled_ns for record in found.records)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ({"kind": "trace", "file": "nowhere.csv"}, "nowhere.csv: cannot be read"),
        ({"kind": "gamma", "rate_hz": 5, "burstiness": 0}, "load.gamma.burstiness"),
        ({"kind": "ramp", "start_hz": 5}, "load.ramp.end_hz: missing"),
        ({"kind": "constant", "rate_hz": float("inf")}, "load.constant.rate_hz"),
        ({"kind": "trace", "file": "x.csv", "limit": 0}, "load.trace.limit"),
    ],
    ids=lambda value: "",
)
def test_a_mistake_in_the_load_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: dict[str, Any], said: str
) -> None:
    raw: dict[str, Any] = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    for key in ("benign", "borderline", "harmful", "warmup"):
        raw["prompts"][key] = str(ROOT / "scenarios" / raw["prompts"][key])
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(raw | {"load": load}))
    assert main(["profile", "--scenario", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_the_warm_up_of_a_trace_needs_no_rows(tmp_path: Path) -> None:
    scenario = scenario_with(tmp_path, trace_file(tmp_path, [(0, 5, 1), (3600, 5, 2)]))
    found = run(Workload(scenario, read_prompt_sets(scenario).warmup[:6], 0))
    assert len(found.records) == 6
    assert found.ended_ns - found.started_ns < 60 * 10**9


def test_a_workload_can_be_sent_at_another_rate(tmp_path: Path) -> None:
    work = drawn(scenario_with(tmp_path, {"kind": "closed", "users": 2}, requests_per_trial=200))
    slow, fast = (due_ms(run(work.at_rate(rate)))[-1] for rate in (10, 1000))
    assert slow == pytest.approx(20_000, rel=0.3)
    assert slow / fast == pytest.approx(100, rel=1e-6)


def test_a_trial_that_is_stopped_says_why_and_keeps_what_was_answered(tmp_path: Path) -> None:
    work = drawn(scenario_with(tmp_path, {"kind": "constant", "rate_hz": 100}, requests_per_trial=100))

    def stop(done: Sequence[RequestRecord], in_flight: int) -> str:
        return "over-saturated" if len(done) >= 5 and in_flight > 10 else ""

    found = run(work, stop)
    assert found.stopped == "over-saturated"
    assert 5 <= len(found.records) < 100
    assert all(record.error == "" for record in found.records)
    assert run(work).stopped == ""


def test_garbage_is_collected_before_the_clock_starts(tmp_path: Path) -> None:
    """Once a trial, and never between its first and its last reading of the clock."""
    events: list[str] = []

    def clock() -> int:
        events.append("clock")
        return now_ns()

    def collected(phase: str, info: dict[str, int]) -> None:
        events.append(f"gc {phase}")

    async def trial() -> Outcomes:
        stack = Tap(ModelledEngine(now_ns=now_ns, seed=3))
        return await run_trial(stack, work, "t", watch=lambda record: None, now_ns=clock)

    work = drawn(scenario_with(tmp_path, {"kind": "poisson", "rate_hz": 50}))
    gc.enable()
    gc.callbacks.append(collected)
    try:
        run_virtual(trial)
    finally:
        gc.callbacks.remove(collected)
        gc.disable()
    first, last = events.index("clock"), len(events) - events[::-1].index("clock")
    assert events[first - 1] == "gc stop"
    assert set(events[first:last]) == {"clock"}
