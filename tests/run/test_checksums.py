"""Stored files that are not what was written: named, left out, reported; a run without checksums still opens."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from profiler.analysis.tax import analyse
from profiler.cli import main
from profiler.records import checksums
from profiler.records.record import Outcome, RequestRecord, TrialInfo
from profiler.records.samples import Samples
from profiler.records.store import (
    StoredTrial,
    as_table,
    create_run,
    read_run,
    write_ending,
    write_idle,
    write_parts,
    write_stored,
)
from profiler.scenario import BASELINE

FACTS = {"began_ns": 0, "ended_ns": 10**9, "roles": {}}
SAMPLES = Samples(FACTS, (("cpu", "load"),), np.zeros(3, np.int64), np.arange(3), np.ones(3))


def record(index: int, at_ns: int) -> RequestRecord:
    times = tuple(range(at_ns + 5_000_000, at_ns + 25_000_000, 5_000_000))
    return RequestRecord(
        index, f"p{index}", "benign", "c", at_ns, at_ns, times[0], times[-1], 4, "length", Outcome.PASSED, "",
        times, (1, 1, 1, 1),
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two blocks of two arms, each trial with samples, and an idle window."""
    facts = {"model": "m", "device_name": "d", "vllm_version": "-"}
    said = {"id": "r", "facts": facts, "arms": [BASELINE, "a"], "planned_trials": 6, "not_measured": {}}
    folder = create_run(tmp_path, "r", said)
    write_idle(folder, SAMPLES)
    for index, (arm, replicate) in enumerate([(BASELINE, 0), ("a", 0), (BASELINE, 1)] * 2):
        began = 1_000_000_000 * (index + 1)
        info = TrialInfo(index, index // 3, arm, replicate, began, began + 500_000_000)
        rows = [record(i, began + i * 30_000_000) for i in range(8)]
        write_stored(folder, StoredTrial(info, as_table(info, rows), SAMPLES))
    return folder


def flip(file: Path, at: int) -> None:
    """Change one bit; the size stays."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(bytes(content))


def test_every_file_has_a_line(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "checksums.jsonl").read_text().splitlines()]
    written = {path.relative_to(run).as_posix() for path in run.rglob("*.*") if path.name != "checksums.jsonl"}
    assert {line["file"] for line in lines} == written
    assert not list(run.rglob("*.partial"))
    whole = read_run(run, verify=True)
    assert (len(whole.sources), whole.damaged, whole.notes) == (6, (), ())


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda file: flip(file, 40), "SHA-256"),
        (lambda file: flip(file, -60), "SHA-256"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "bytes"),
        (lambda file: file.unlink(), "missing"),
    ],
)
def test_a_trial_that_is_not_what_was_written_is_named_and_left_out(
    harm: Callable[[Path], None], said: str, run: Path
) -> None:
    harm(run / "trials" / "0004.parquet")
    result = analyse(read_run(run))
    named = [warning for warning in result.warnings if "damaged and left out: 0004.parquet" in warning]
    assert len(named) == 1 and said in named[0]
    assert {(t.block, t.arm, t.replicate) for t in result.trials} == {
        (0, BASELINE, 0), (0, "a", 0), (0, BASELINE, 1), (1, BASELINE, 0), (1, BASELINE, 1),
    }  # fmt: skip


def test_large_files_are_read_without_hashing_and_their_pages_tell(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "HASHED_BYTES", 0)
    flip(run / "trials" / "0004.parquet", 40)
    assert read_run(run).damaged == ()
    assert any("damaged and left out: 0004.parquet" in warning for warning in analyse(read_run(run)).warnings)
    assert any("0004.parquet" in name for name in read_run(run, verify=True).damaged)


def test_changed_samples_are_left_out_and_their_trial_stays(run: Path) -> None:
    flip(run / "trials" / "0001.samples.parquet", 12)
    flip(run / "idle.samples.parquet", 12)
    result = analyse(read_run(run))
    assert len(result.trials) == 6
    text = " ".join(result.warnings)
    assert "0001.samples.parquet: changed since" in text
    assert "idle.samples.parquet: changed since" in text


def test_a_manifest_that_was_changed_is_said(run: Path) -> None:
    (run / "run.json").write_text((run / "run.json").read_text().replace('"m"', '"another"'))
    assert any(warning.startswith("run.json: has") for warning in analyse(read_run(run)).warnings)


def test_why_it_ended_and_what_each_arm_was_left_have_lines_too(run: Path) -> None:
    write_parts(run, [{"arm": "a"}])
    write_ending(run, "interrupted", complete=False)
    write_ending(run, "all blocks done")  # gone on with
    assert read_run(run).notes == ()
    (run / "isolation.json").write_text('{"arms": []}')
    (run / "ending.json").unlink()
    said = " ".join(analyse(read_run(run)).warnings)
    assert "isolation.json: has 12 bytes" in said and "ending.json: missing" in said


@pytest.mark.parametrize("torn", ["", "{", '{"file": "trials/0005.par', "null\n", '{"file": 3}\n'])
def test_lines_that_a_crash_cut_short_say_nothing(torn: str, run: Path) -> None:
    listed = (run / "checksums.jsonl").read_text().splitlines()
    kept = [line for line in listed if "0005" not in line]
    (run / "checksums.jsonl").write_text("\n".join(kept) + "\n" + torn)
    assert len(read_run(run).sources) == 6
    write_idle(run, SAMPLES)  # its line does not become a part of the torn one
    flip(run / "idle.samples.parquet", 12)
    assert read_run(run).idle_damage


def test_a_run_without_checksums_still_opens(run: Path) -> None:
    (run / "checksums.jsonl").unlink()
    assert len(read_run(run, verify=True).sources) == 6


def test_a_disk_that_is_full_leaves_the_file_of_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from profiler.errors import UserError

    before = (run / "idle.samples.parquet").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="free some space"):
        write_idle(run, SAMPLES)
    assert (run / "idle.samples.parquet").read_bytes() == before
    assert not list(run.rglob("*.partial"))


def test_report_verifies(run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "HASHED_BYTES", 0)
    assert main(["report", str(run), "--verify"]) == 0
    assert "damaged" not in capsys.readouterr().out
    for file in (run / "trials").glob("*.parquet"):
        flip(file, 40)
    assert main(["report", str(run), "--verify"]) == 2
    said = capsys.readouterr().err
    assert "none of its trials can be read: 0000.parquet" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("at", ["os.replace", "profiler.records.checksums.append_line"])
def test_a_kill_while_a_file_is_written_anew_is_no_damage(at: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ending(run, "interrupted", complete=False)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(at, killed)
        write_ending(run, "all blocks done, as it should be")
    assert read_run(run).notes == ()


def test_a_list_of_files_elsewhere_is_not_followed(run: Path) -> None:
    os.mkfifo(run / "fifo")
    os.mkfifo(run.parent / "fifo")
    with (run / "checksums.jsonl").open("a") as file:
        for name in ("/dev/zero", "../fifo", "fifo", "a/../../fifo", "\0"):
            file.write(json.dumps({"file": name, "bytes": 0, "sha256": "x"}) + "\n")
        file.write('{"file": "a", "bytes": Infinity, "sha256": ""}\n' + "[" * 200_000 + "\n")
    found = checksums.differences(run, verify=True)
    assert found == {"fifo": "fifo: is no regular file"}
    (run / "checksums.jsonl").unlink()
    os.mkfifo(run / "checksums.jsonl")
    os.mkfifo(run / "trials" / "0099.parquet")
    os.mkfifo(run / "ending.json")
    read = read_run(run, verify=True)
    assert (len(read.sources), read.damaged) == (6, ("0099.parquet: is no regular file",))
