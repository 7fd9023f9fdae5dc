"""A run that was stopped goes on: the same trials, the same table."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmarks.resume import killed_run, table_of
from benchmarks.resume_run import RUN, begin, go_on, small_scenario
from profiler.cli import main
from profiler.commands.profile import _print
from profiler.errors import UserError
from profiler.profile import Finished
from profiler.records.lock import held
from profiler.records.store import read_run
from profiler.resume import _say
from profiler.scenario import UntilConfig
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
    go_on(tmp_path / "latest", again.append)
    assert sorted(again) == [4, 7, 11, 12, 13, 14]
    assert table_of(run) == wanted
    go_on(run, again.append)
    assert len(again) == 6


def test_what_a_run_is_called_does_nothing_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = begin(tmp_path / "\x1b[2J", small_scenario(blocks=1))
    (run / "trials" / "0099\x1b[2J.parquet").write_bytes(b"")
    console = Console(file=io.StringIO(), force_terminal=False)
    _say(unfinished(run), console)
    _print(Finished(run, "gone: \x1b[2J"), read_run(run), None)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue() + capsys.readouterr().out
    assert "run again, since damaged: 0099?[2J.parquet" in said and "gone: ?[2J" in said
    assert "\x1b" not in said


def test_another_machine_or_version_is_said() -> None:
    then = {"machine": {"cpu": "A", "cores": 2, "memory_gib": 8.0}, "versions": {"vllm": "1"}, "facts": {"model": "m"}}
    now = {"machine": {"cpu": "B", "cores": 2, "memory_gib": 8.1}, "versions": {"vllm": "2"}, "facts": {"model": "n"}}
    assert differences(then, then) == []
    assert differences(then, now) == ["cpu: was A, is B", "model: was m, is n", "vllm: was 1, is 2"]


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    run = begin(tmp_path, small_scenario(blocks=1), kind="calibration")
    with held(run), pytest.raises(UserError, match="only those of"):
        unfinished(run)


def test_what_a_killed_process_had_finished_is_kept_and_the_table_is_the_same(tmp_path: Path) -> None:
    wanted = table_of(begin(tmp_path / "whole", small_scenario()))
    found = killed_run(tmp_path / "killed", 3, 1.5, np.random.default_rng(3))
    # A child that was killed before it said so had stored one more.
    trials = list((tmp_path / "killed" / RUN / "trials").glob("????.parquet"))
    assert (found.lost, len(trials)) == (0, 30) and 30 - len(found.stored) <= found.kills
    assert table_of(tmp_path / "killed" / RUN) == wanted


@pytest.mark.parametrize("kept", [0, 3, 31])
def test_under_until_a_run_that_was_stopped_ends_where_it_would_have_ended(tmp_path: Path, kept: int) -> None:
    until = UntilConfig(metric="e2el_mean", half_width=0.01, min_blocks=3, max_blocks=20)
    run = begin(tmp_path, small_scenario(until=until))
    wanted, trials = table_of(run), sorted((run / "trials").glob("????.parquet"))
    assert json.loads((run / "ending.json").read_text())["ending"] == "narrow enough"
    assert 31 < len(trials) < 100  # neither the least nor the most that it may have
    for trial in trials[kept:]:
        trial.unlink()
    (run / "ending.json").unlink()
    go_on(run)
    assert table_of(run) == wanted


def changed(run: Path, **keys: Any) -> Path:
    """The run as it would be, had it been made otherwise."""
    manifest = json.loads((run / "run.json").read_text())
    for name, value in keys.items():
        manifest[name] |= value
    (run / "run.json").write_text(json.dumps(manifest))
    (run / "trials" / "0004.parquet").unlink()
    return run


def refused(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(["profile", *flags]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_another_machine_is_refused_before_an_engine_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = changed(begin(tmp_path, small_scenario(blocks=1)), machine={"cores": 999})
    said = refused(capsys, "--resume", str(run))
    assert "cores: was 999, is" in said and "add --force to go on" in said
    assert "model: was embedded, is other" in refused(capsys, "--resume", str(run), "--model", "other")
    # With --force it is the next thing that stands in the way.
    refused_by_model = refused(capsys, "--resume", str(run), "--model", str(tmp_path / "no"), "--force")
    assert "no" in refused_by_model and "cores" not in refused_by_model


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--blocks", "3"], "--blocks: a run that is gone on with has its own"),
        (["--guards", "input"], "--guards: a run that is gone on with has its own"),
        (["--out", "x"], "--out: a run that is gone on with has its own"),
    ],
)
def test_a_run_that_is_gone_on_with_takes_no_flags_of_a_new_one(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "--resume", str(tmp_path), *flags)


def test_force_alone_and_a_folder_without_a_run_are_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--force: needs --resume RUN" in refused(capsys, "--force")
    assert "no run there" in refused(capsys, "--resume", str(tmp_path))


def test_a_run_that_another_process_writes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = begin(tmp_path, small_scenario(blocks=1))
    code = f"""
from pathlib import Path
from profiler.profile import Finished
from profiler.records.lock import held
from profiler.records.store import read_run
from profiler.resume import _say
with held(Path({str(run)!r})):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert "another process is still at it" in refused(capsys, "--resume", str(run))
        other.communicate("\n")
    assert main(["profile", "--resume", str(run)]) == 0
    assert "nothing is left to run: all blocks done" in capsys.readouterr().out
