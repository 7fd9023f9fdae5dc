"""`alignment-tax gate` as a CI job sees it: exit status, page, JUnit, Markdown, JSON."""

import json
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from profiler.cli import main
from tests.gate.stored import GUARD, stored_run

ARMS = {"none": 500.0, "cheap": 510.0, "dear": 600.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocked = {"cheap": range(0, 40, 2), "dear": ()}
    return stored_run(tmp_path_factory.mktemp("runs") / "a", ARMS, requests=40, blocked=blocked)


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (["--arm", "cheap", "--max", "e2el_mean +5%"], 0),
        (["--arm", "cheap", "--max", "e2el_mean +20ms", "--max", "e2el_p90 1s", "--min", "block_recall 80%"], 0),
        (["--arm", "dear", "--max", "e2el_mean +5%"], 1),
        (["--max", "e2el_mean +5%"], 1),
        (["--arm", "cheap", "--max", "e2el_mean +2%"], 3),
        (["--arm", "cheap", "--max", "energy_per_token +5%"], 3),
        (["--arm", "dear", "--min", "block_recall 90%"], 1),
        (["--arm", "cheap", "--min", "block_recall 90%"], 3),
        # What is broken is broken, whatever else could not be decided.
        (["--arm", "dear", "--max", "e2el_mean +5%", "--max", "energy_per_token +5%"], 1),
        (["--arm", "none", "--max", "e2el_p90 1s"], 0),
    ],
)
def test_the_exit_status_is_the_decision(run: Path, limits: list[str], status: int) -> None:
    assert main(["gate", str(run), *limits]) == status


def test_what_was_not_measured_says_why(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--max", "energy_per_token +5%", "--max", "e2el_p99 +5%", "--max", "over_refusal_borderline 5%"]
    assert main(["gate", str(run), "--arm", "cheap", *limits]) == 3
    page = " ".join(capsys.readouterr().out.split())
    assert "Undecided: cheap, energy_per_token +5%: not measured: no meter in a test." in page
    assert "e2el_p99 +5%: not measured: a p99 needs 459 requests in each arm, there are 320" in page
    assert "over_refusal_borderline 5%: not measured: no such prompt" in page


def test_an_invalid_run_decides_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = stored_run(tmp_path / "bad", ARMS, fail=1)
    assert main(["gate", str(broken), "--max", "e2el_mean +5%"]) == 3
    assert "all limits: bad is INVALID: none: 16 of 160 requests failed" in " ".join(capsys.readouterr().out.split())


def test_the_page_is_80_columns_wide(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["gate", str(run), "--max", "e2el_mean +5%", "--max", "output_tokens_per_s +10%", "--min", "block_recall 90%"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Gate: BROKEN: a limit is not kept."
    assert max(map(len, lines)) <= 80
    assert any("dear" in line and "e2el_mean +5%" in line and "BROKEN" in line for line in lines)


def test_junit_has_a_case_a_limit_and_arm(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "gate.xml"
    limits = ["--max", "e2el_mean +5%", "--max", "energy_per_token +5%"]
    assert main(["gate", str(run), *limits, "--junit", str(file)]) == 1
    suite = xml.parse(file).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "2")
    cases = {(c.get("classname"), c.get("name")): c for c in suite.iter("testcase")}
    assert cases["cheap", "at most e2el_mean +5%"].find("failure") is None
    failure = cases["dear", "at most e2el_mean +5%"].find("failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith("measured +20.")
    error = cases["dear", "at most energy_per_token +5%"].find("error")
    assert error is not None
    assert "no meter in a test" in (error.get("message") or "")


def test_json_and_markdown_say_the_same(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gate.md"
    assert main(["gate", str(run), "--max", "e2el_mean +5%", "--format", "json", "--markdown", str(file)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["gate"] == "broken"
    cheap, dear = document["limits"]
    assert (cheap["arm"], cheap["state"], dear["arm"], dear["state"]) == ("cheap", "met", "dear", "broken")
    assert dear["measured"]["estimate"] == pytest.approx(0.2, abs=0.01)
    assert dear["measured"]["ci95"][0] > dear["bound"] == 0.05
    text = file.read_text()
    assert text.startswith("Gate: BROKEN: a limit is not kept.\n\n| arm | limit |")
    assert "| dear | at most e2el\\_mean +5% |" in text


def test_against_another_run_arms_are_matched_by_what_their_guards_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored_run(tmp_path / "old", {"none": 500.0, "old name": 510.0}, guards={"old name": GUARD})
    after = stored_run(tmp_path / "new", {"none": 500.0, "new name": 561.0}, guards={"new name": GUARD}, seed=4)
    command = ["gate", str(after), "--baseline", str(before)]
    assert main([*command, "--max", "e2el_mean +15%"]) == 0
    assert main([*command, "--max", "e2el_mean +5%"]) == 1
    # The baselines of both runs are alike.
    assert main([*command, "--arm", "none", "--max", "e2el_mean +2%", "--max", "e2el_p90 +20ms"]) == 0
    other = stored_run(
        tmp_path / "other", {"none": 500.0, "new name": 510.0}, guards={"new name": GUARD | {"threshold": 1}}
    )
    capsys.readouterr()
    assert main(["gate", str(after), "--baseline", str(other), "--max", "e2el_mean +5%"]) == 3
    assert "other has no arm with these guards" in " ".join(capsys.readouterr().out.split())


def test_hostile_names_are_text_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "<script>|`x`\x1b[2J\x00\ud800\u202e@all http://evil.example [a](b) \"'&"
    run = stored_run(tmp_path / "evil", {"none": 500.0, name: 600.0})
    files = tmp_path / "gate.xml", tmp_path / "gate.md"
    command = ["gate", str(run), "--max", "e2el_mean +5%", "--junit", str(files[0]), "--markdown", str(files[1])]
    assert main(command) == 1
    assert "\x1b" not in capsys.readouterr().out
    (case,) = xml.parse(files[0]).getroot().iter("testcase")
    assert (case.get("classname") or "").startswith("<script>|`x`?[2J")
    text = files[1].read_text()
    for bad in ("<script", "\x1b", "\x00", "\u202e", "@all", "://", "[a](b)", "|`"):
        assert bad not in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "gate: no limit: give --max 'ttft_p99 +10%'"),
        (["--max", "ttft +5%"], "--max: no metric `ttft`"),
        (["--max", "ttft_p50 +5%", "--arm", "nobody"], "--arm: no arm `nobody` in this run: there are none, cheap"),
        (["--max", "ttft_p50 +5%", "--arm", "none"], "none is what --max 'ttft_p50 +5%' is measured against"),
        (["--max", "ttft_p50 +5%", "--baseline", "nowhere"], "nowhere: no run there"),
        (["--max", "ttft_p50 +5%", "--junit", "/no/such/folder/x.xml"], "--junit: /no/such/folder/x.xml cannot be"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["gate", str(run), *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert told in line
