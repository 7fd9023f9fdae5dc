"""`history`: the runs of a folder, in series that may be compared, and where their level changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from profiler.analysis.series import scenario_hash
from profiler.analysis.stats import Interval
from profiler.analysis.tax import analyse
from profiler.cli import main
from profiler.records.query import DamagedFiles, reading, trial_rows
from profiler.records.store import TrialFile, read_run, write_ending
from profiler.report.trend import picture
from profiler.scenario import load_scenario
from tests.history.runs import history_of, run_at

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs of one scenario; from the seventh on its arm is a fifth slower."""
    return history_of(tmp_path_factory.mktemp("results"), [600.0] * 6 + [720.0] * 6)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["history", *arguments]) == 0
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(capsys, *arguments, "--format", "json"))
    return found


def test_a_change_of_level_is_marked_and_the_baseline_has_none(
    shifted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (series,) = as_json(capsys, str(shifted), "--metric", "e2el_p50")["series"]
    trends = {trend["arm"]: trend["changes"] for trend in series["trends"]}
    assert trends["none"] == []
    (change,) = trends["a"]
    assert change["from"] == "run-006"
    low, high = change["relative"]["ci95"]
    assert low < 0.2 < high
    page = shown(capsys, str(shifted), "--metric", "e2el_p50")
    assert "chat (" in page and "12 runs" in page
    assert "% from run-006 on (p 0.0" in page
    assert page.count("┊") > 7  # the mark in the picture, and its line
    assert "run-003  2026-11-01 03:00  0000003  3 blocks" in page


def test_the_tax_can_be_followed(shifted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (series,) = as_json(capsys, str(shifted), "--metric", "e2el_mean", "--tax")["series"]
    assert [trend["arm"] for trend in series["trends"]] == ["a"]
    assert [change["from"] for change in series["trends"][0]["changes"]] == ["run-006"]
    assert "tax on e2el_mean of a, %" in shown(capsys, str(shifted), "--metric", "e2el_mean", "--tax")


@pytest.mark.parametrize("metric", ["ttft_p50", "tpot_mean", "e2el_p90", "output_tokens_per_s"])
def test_the_figures_are_those_of_the_report(shifted: Path, metric: str, capsys: pytest.CaptureFixture[str]) -> None:
    (series,) = as_json(capsys, str(shifted), "--metric", metric)["series"]
    result = analyse(read_run(shifted / "run-004"))
    key = {"output_tokens_per_s": "output_tokens_per_s.mean"}.get(metric, metric.replace("_", "_ms."))
    for name, arm in series["runs"][4]["arms"].items():
        mine = result.arms[name]
        assert arm["requests"] == mine.requests
        assert arm["output_tokens_per_s"] == pytest.approx(mine.output_tokens_per_s)
        for latency in ("ttft_ms", "tpot_ms", "e2el_ms"):
            summary = mine.latency[latency]
            for q in ("p50", "p90", "p99"):
                wanted = None if summary is None else pytest.approx(getattr(summary, q))
                assert arm["quantiles_ms"][f"{latency}.{q}"] == wanted
        if name != "none" and key in mine.tax:
            tax = mine.tax[key]
            assert arm["tax"]["estimate"] == pytest.approx(tax.relative)
            assert arm["tax"]["ci95"] == pytest.approx(list(tax.relative_ci95 or ()))


def test_a_warm_up_is_cut_as_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cold = run_at(tmp_path / "cold", 0, 1000.0, 1200.0, blocks=2)
    run = run_at(tmp_path / "results", 0, 500.0, 600.0, blocks=8)
    for index in range(6):
        shutil.copy(cold / "trials" / f"{index:04d}.parquet", run / "trials" / f"{index:04d}.parquet")
    (run / "checksums.jsonl").unlink()
    (series,) = as_json(capsys, str(tmp_path / "results"))["series"]
    assert series["runs"][0]["blocks"] == analyse(read_run(run)).blocks == 6


def test_another_vllm_is_another_series_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        run_at(tmp_path, number, 500.0, 600.0)
    for number in range(4, 8):
        run_at(tmp_path, number, 300.0, 400.0, facts={"vllm_version": "0.33.0"})
    found = as_json(capsys, str(tmp_path))["series"]
    assert [(one["vllm_version"], len(one["runs"])) for one in found] == [("0.32.0", 4), ("0.33.0", 4)]
    assert all(not trend["changes"] for one in found for trend in one["trends"])
    page = shown(capsys, str(tmp_path))
    assert "A series of its own: vLLM 0.32.0 -> 0.33.0" in page
    assert "4 runs (fewer than 10: no change points are looked for)" in page


def test_what_is_not_whole_is_listed_and_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        run_at(tmp_path, number, 500.0, 600.0)
    damaged = tmp_path / "run-001" / "trials" / "0004.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    (run_at(tmp_path, 3, 500.0, 600.0) / "trials" / "0008.parquet").unlink()
    run_at(tmp_path, 4, 500.0, 600.0, planned_trials=30)
    run_at(tmp_path, 5, 500.0, 600.0, kind="saturation")
    run_at(tmp_path, 6, 500.0, 600.0, kind="calibration")
    stopped = run_at(tmp_path, 7, 500.0, 600.0, planned_trials=None)
    write_ending(stopped, "interrupted\x1b[2J", complete=False)
    (tmp_path / "notes").mkdir()
    found = as_json(capsys, str(tmp_path))
    assert [run["id"] for one in found["series"] for run in one["runs"]] == ["run-000", "run-002"]
    why = {one["run"]: one["why"] for one in found["left_out"]}
    assert why["run-001"].startswith("damaged: 0004.parquet: has ")
    assert "0008.parquet: missing" in why["run-003"]
    assert why["run-004"] == "unfinished: 9 of 30 trials, ending: not known"
    assert (why["run-005"], why["run-006"]) == ("a saturation sweep", "a calibration")
    assert why["run-007"].startswith("unfinished: 9 trials, ending: interrupted")
    page = shown(capsys, str(tmp_path))
    assert "left out: run-001: damaged: " in page
    assert "\x1b" not in page


def test_damage_that_only_the_query_meets_leaves_out_that_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        run_at(tmp_path, number, 500.0, 600.0)
    victim = tmp_path / "run-001" / "trials" / "0003.parquet"
    content = victim.read_bytes()
    victim.write_bytes(content[:4] + b"\xff" * 800 + content[804:])
    (tmp_path / "run-001" / "checksums.jsonl").unlink()  # an older run has none
    found = as_json(capsys, str(tmp_path))
    assert [run["id"] for one in found["series"] for run in one["runs"]] == ["run-000"]
    (left,) = found["left_out"]
    assert left["run"] == "run-001" and left["why"].startswith("damaged: 0003.parquet: ")


def test_what_limits_a_run_is_said_and_a_tax_of_one_block_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = {"name": "chat", "guards": {}, "verdicts": "recorded"}
    run_at(tmp_path, 0, 500.0, 600.0, blocks=1, scenario=scenario)
    page = shown(capsys, str(tmp_path))
    assert "Verdicts were recorded" in page
    assert "1 block\n" in page
    (arm,) = [line for line in page.splitlines() if line.startswith("  a  ")]
    assert arm.endswith("n/m") and "n/m: not measured: a tax needs two blocks" in page
    (series,) = as_json(capsys, str(tmp_path))["series"]
    missing = {name: one["not_measured"] for name, one in series["runs"][0]["arms"].items()}
    assert list(missing["none"]) == ["figure"] and list(missing["a"]) == ["figure", "tax"]
    assert "two blocks with ttft_p50" in missing["a"]["tax"]
    assert [trend["changes_looked_for"] for trend in series["trends"]] == [False, False]


def test_a_name_in_a_path_is_no_sql(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "it's; DROP TABLE x --*"
    folder.mkdir()
    run_at(folder, 0, 500.0, 600.0)
    assert len(as_json(capsys, str(folder))["series"]) == 1


def test_the_database_reads_what_it_was_given_and_nothing_else(tmp_path: Path) -> None:
    (file, *_) = (s for s in read_run(run_at(tmp_path, 0, 500.0, 600.0)).sources if isinstance(s, TrialFile))
    assert trial_rows([]) == {}
    assert list(trial_rows([file.path])) == [file.path]
    with pytest.raises(DamagedFiles):
        trial_rows([file.path, tmp_path / "not there.parquet"])
    other = tmp_path / "run-000" / "run.json"
    with reading([str(file.path)]) as database:
        assert database.execute("SELECT count(*) FROM read_parquet($f)", {"f": str(file.path)}).fetchall() == [(10,)]
        for statement in (
            f"SELECT * FROM read_text('{other}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'written.csv'}'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(statement)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such folder: name one that holds runs"),
        (["EMPTY"], "no run in it: `alignment-tax profile --out "),
        (["RUNS", "--scenario", "gone"], "--scenario: no run of `gone` in "),
    ],
)
def test_nothing_to_show_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    run_at(runs, 0, 500.0, 600.0)
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": str(tmp_path / "empty"), "RUNS": str(runs)}
    assert main(["history", *(places.get(one, one) for one in arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_the_hash_is_of_the_work_not_of_where_it_lies() -> None:
    quick = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    said = quick.model_dump(mode="json")
    moved = json.loads(json.dumps(said).replace(str(ROOT), "/elsewhere"))
    assert scenario_hash(said, "abc") == scenario_hash(moved, "abc") == scenario_hash(said | {"blocks": 50}, "abc")
    assert scenario_hash(said, "abc") != scenario_hash(said, "other prompts")
    assert scenario_hash(said, "abc") != scenario_hash(said | {"requests_per_trial": 99}, "abc")
    old = {key: value for key, value in said.items() if key != "isolation"}
    assert scenario_hash(old, "abc") == scenario_hash(said, "abc")


def test_a_picture_keeps_the_last_runs_and_marks_the_change() -> None:
    points = [Interval(100.0 + (i >= 30) * 20, 95.0 + (i >= 30) * 20, 105.0 + (i >= 30) * 20, 0.95) for i in range(60)]
    whole = picture(points[20:40], [10], 80, "ms")
    assert len(whole.shown) == 20
    assert sum("●" in line for line in whole.lines) == 2
    assert all(line.count("┊") == 1 for line in whole.lines)
    assert max(map(len, whole.lines)) <= 80
    narrow = picture(points, [30], 40, "ms")
    assert list(narrow.shown)[-1] == 59 and len(narrow.shown) < 60
    assert max(map(len, narrow.lines)) <= 40
    assert picture(points[:1], [], 40, "ms").shown == range(1)


def rewrite_facts(run: Path, **more: Any) -> None:
    """Change what each trial's file says of itself, and forget what was written."""
    (run / "checksums.jsonl").unlink()
    for file in (run / "trials").glob("*.parquet"):
        table = pq.read_table(file)
        facts = json.loads(table.schema.metadata[b"alignment_tax.trial"]) | more
        pq.write_table(table.replace_schema_metadata({b"alignment_tax.trial": json.dumps(facts)}), file)


def test_a_bad_run_is_left_out_and_the_others_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        run_at(tmp_path, number, 500.0, 600.0)
    (tmp_path / "run-001" / "run.json").write_text("[" * 200_000)
    wrong: dict[int, dict[str, Any]] = {
        2: {"kind": ["x"]},
        3: {"arms": 3},
        4: {"facts": []},
        5: {"scenario": {"name": []}},
    }
    for number, changed in wrong.items():
        file = tmp_path / f"run-{number:03d}" / "run.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changed))
        (file.parent / "checksums.jsonl").unlink()
    rewrite_facts(tmp_path / "run-006", unknown=1)
    rewrite_facts(tmp_path / "run-007", index=[])
    is_file = Path.is_file

    def forbidden(path: Path) -> bool:
        if path.parent.name == "run-008":
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", forbidden)
    found = as_json(capsys, str(tmp_path))
    kept = {run["id"] for one in found["series"] for run in one["runs"]}
    left = {one["run"] for one in found["left_out"]}
    assert "run-000" in kept and kept | left == {f"run-{number:03d}" for number in range(9)}
    assert {"run-001", "run-002", "run-003", "run-004", "run-006", "run-007"} <= left
    assert main(["report", str(tmp_path / "run-006")]) == 2
    assert "0000.parquet" in capsys.readouterr().err


def test_what_a_folder_is_called_changes_no_figure(tmp_path: Path) -> None:
    for name in ("output_tokens=5", "x*", "xx", "y?", "[ab]", "a"):
        folder = tmp_path / name
        files = [s.path for s in read_run(run_at(folder, 0, 500.0, 600.0)).sources if isinstance(s, TrialFile)]
        rows = trial_rows(files)
        assert sorted(rows) == files
        tokens = {
            file: sum(pq.ParquetFile(file).read(["output_tokens"])["output_tokens"].to_pylist()) for file in files
        }
        assert {file: row.output_tokens for file, row in rows.items()} == tokens, name


def test_an_ascii_terminal_gets_a_history_too(shifted: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "profiler.cli", "history", str(shifted), "--metric", "e2el_p50"]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, text=True)
    assert found.stdout.isascii() and "% from run-006 on" in found.stdout
    assert "is not looked at: `report RUN` does" in found.stdout
