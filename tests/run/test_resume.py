"""A run that was stopped goes on: the same trials, the same table."""

from pathlib import Path

import pytest

from benchmarks.resume import table_of
from benchmarks.resume_run import begin, go_on, small_scenario
from profiler.errors import UserError
from profiler.records.lock import held
from profiler.unfinished import differences, unfinished


def test_what_is_missing_or_damaged_is_run_again_and_nothing_else(tmp_path: Path) -> None:
    run = begin(tmp_path, small_scenario(blocks=3))
    wanted = table_of(run)
    for index in (4, 11, 12, 13, 14):
        (run / "trials" / f"{index:04d}.parquet").unlink()
    damaged = run / "trials" / "0007.parquet"
    damaged.write_bytes(damaged.read_bytes()[:500])
    (run / "ending.json").unlink()
    again: list[int] = []
    go_on(run, again.append)
    assert sorted(again) == [4, 7, 11, 12, 13, 14]
    assert table_of(run) == wanted
    go_on(run, again.append)
    assert len(again) == 6


def test_another_machine_or_version_is_said() -> None:
    then = {"machine": {"cpu": "A", "cores": 2, "memory_gib": 8.0}, "versions": {"vllm": "1"}, "facts": {"model": "m"}}
    now = {"machine": {"cpu": "B", "cores": 2, "memory_gib": 8.1}, "versions": {"vllm": "2"}, "facts": {"model": "n"}}
    assert differences(then, then) == []
    assert differences(then, now) == ["cpu: was A, is B", "model: was m, is n", "vllm: was 1, is 2"]


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    run = begin(tmp_path, small_scenario(blocks=1), kind="calibration")
    with held(run), pytest.raises(UserError, match="only those of"):
        unfinished(run)
