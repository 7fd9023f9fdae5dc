"""The page of several runs, and what it says of one that is not to be believed."""

import json
from pathlib import Path

import pytest

from profiler.cli import main
from tests.gate.stored import stored_run
from tests.report.html.reading import parsed

ARMS = {"none": 500.0, "guard": 600.0}
DUMMY = {"engine": {"load_format": "dummy"}, "guards": {}, "load": {"kind": "closed"}}


def test_a_run_that_is_invalid_or_has_no_real_weights_is_told_beside_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [stored_run(tmp_path / "a", ARMS, fail=2), stored_run(tmp_path / "b", ARMS, changed={"scenario": DUMMY})]
    asked = ["report", *map(str, runs), "--size", "a=1B", "--size", "b=2B"]
    assert main([*asked, "--html", str(tmp_path / "s.html")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "INVALID: a: " in said and "requests failed" in said and "b: Dummy weights: text and verdicts" in said
    verdict = parsed((tmp_path / "s.html").read_text()).one("section", id="verdict")
    assert "requests failed" in verdict.one("div", class_="validity invalid").text
    assert "Note b: Dummy weights: text and verdicts are noise" in verdict.text
    assert main([*asked, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["valid"] for one in found["scale"]] == [False, True]
    assert any(warning.startswith("b: Dummy weights") for warning in found["warnings"])
