"""`alignment-tax report` and the page: where it goes, what it says, and where there is none."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from profiler.cli import main
from profiler.commands.profile import _shown
from profiler.profile import Finished
from profiler.records import durable
from tests.gate.stored import stored_run
from tests.report.html.reading import parsed


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return stored_run(tmp_path / "a", {"none": 500.0, "guard": 600.0}, blocks=3)


def told(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    assert main([str(a) for a in arguments]) == status
    said = capsys.readouterr()
    return said.out if status == 0 else said.err


def test_report_prints_the_tables_and_leaves_a_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "report", run)
    assert "What each arm did" in said
    assert f"Page: {run.resolve() / 'report.html'}" in said.splitlines()
    assert parsed((run / "report.html").read_text()).one("h1").text == "m"
    assert stat.S_ISREG((run / "report.html").stat().st_mode)
    # The page is no part of the record: the run is as whole as before.
    assert "damaged" not in told(capsys, "report", run, "--verify")


def test_the_page_goes_where_it_is_asked_to(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "page.html"
    assert f"Page: {file}" in told(capsys, "report", run, "--html", file)
    assert file.is_file() and not (run / "report.html").exists()


def test_format_html_prints_the_page_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "report", run, "--format", "html", "--harmful", "2%")
    assert said.startswith("<!doctype html>")
    assert parsed(said).one("title").text == "Latency tax of m: a"
    assert not (run / "report.html").exists()


def test_a_folder_that_cannot_be_written_to_costs_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(scratch: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "_sync", full)
    said = told(capsys, "report", run)
    assert "What each arm did" in said
    (line,) = (line for line in said.splitlines() if line.startswith("No page: "))
    assert "report.html: cannot be written (No space left on device)" in line


def test_a_file_that_cannot_be_written_is_the_users_mistake(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "report", run, "--html", tmp_path / "nowhere" / "page.html", status=2)
    assert "nowhere" in said and "cannot be written" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"kind": "calibration"}, "no run of `profile`"),
     ({"points": [{"label": "x", "arm": "guard", "settings": {}}]}, "a sweep, which has no page")],
)  # fmt: skip
@pytest.mark.parametrize("flags", [("--format", "html"), ("--html", "page.html")])
def test_runs_of_other_kinds_have_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], words: str, flags: tuple[str, str]
) -> None:
    other = stored_run(tmp_path / "s", {"none": 500.0, "guard": 600.0}, blocks=2, changed=changed)
    said = told(capsys, "report", other, *flags, status=2)
    assert words in said and flags[0] in said and len(said.splitlines()) == 1


def test_html_beside_another_format_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "report", run, "--html", "x.html", "--format", "json", status=2)
    assert "leave --format json out" in said


def test_a_profile_leaves_a_page_at_its_end(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _shown(Finished(run, ""), Console()) == 0
    assert f"Page: {run.resolve() / 'report.html'}" in capsys.readouterr().out.splitlines()
    assert (run / "report.html").is_file()


def test_a_pipe_or_a_link_stays_what_it_is_and_no_other_file_is_touched(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe, link, target, other = (tmp_path / name for name in ("pipe", "link.html", "target.html", "link.partial"))
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text)
        told(capsys, "report", run, "--html", pipe)
        assert read.result().startswith("<!doctype html>")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    target.write_text("old")
    other.write_text("mine")
    link.symlink_to(target)
    told(capsys, "report", run, "--html", link)
    assert link.is_symlink() and target.read_text().startswith("<!doctype html>") and other.read_text() == "mine"
    assert [file.name for file in tmp_path.rglob("*.partial")] == ["link.partial"]


@pytest.mark.parametrize("flag", ["--format", "--html"])
def test_standard_output_gets_the_page_in_utf_8_whatever_the_locale(run: Path, tmp_path: Path, flag: str) -> None:
    file, link = tmp_path / "out", tmp_path / "stdout"
    link.symlink_to("/proc/self/fd/1")  # as /dev/stdout is
    arguments = (flag, "html" if flag == "--format" else link)
    with file.open("wb") as out:
        subprocess.run(
            [sys.executable, "-m", "profiler.cli", "report", run, *arguments], stdout=out, check=True,
            env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        )  # fmt: skip
    said = file.read_bytes()
    page = said[said.index(b"<!doctype html>") :].decode("utf-8")
    assert "· 3 blocks ·" in page and "</html>" in page
    assert arguments[0] == "--format" or b"What each arm did" in said


@pytest.mark.parametrize("flags", [("--harmful", "2%"), ("--verify",), ("--categories",)])
def test_flags_of_one_run_are_refused_of_several(
    run: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    said = told(capsys, "report", run, run, "--size", "a=1B", *flags, status=2)
    assert f"{flags[0]}: is for one run" in said and len(said.splitlines()) == 1
