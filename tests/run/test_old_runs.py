"""Runs that older versions have written still open: `tests/data/runs` has one of the first day, of the real engine."""

import json
import shutil
from pathlib import Path

import pytest

from profiler.cli import main

FIRST = Path(__file__).parents[1] / "data" / "runs" / "2026-11-23"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy: a report writes its page beside the run."""
    return shutil.copytree(FIRST, tmp_path / "run")


def test_a_run_of_the_first_version_is_shown_with_the_figures_of_then(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # What that version printed: TTFT p50 407 and 1661 ms, E2EL p50 1261 and 1661 ms, 72.4 and 36.5 tokens/s.
    shown = {
        arm: (
            round(one["metrics"]["ttft_ms"]["p50"]),
            round(one["metrics"]["e2el_ms"]["p50"]),
            round(one["metrics"]["output_tokens_per_s"]["mean"], 1),
            one["outcomes"]["blocked"],
        )
        for arm, one in found["arms"].items()
    }
    assert shown == {"none": (407, 1261, 72.4, 0), "all": (1661, 1661, 36.5, 2)}


def test_what_that_version_did_not_keep_is_not_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "KV displacement (n/m): not measured: the engine does not tell its KV pool" in page
    assert "not measured: this run has no judgement of its answers" in page


@pytest.mark.parametrize("how", ["markdown", "csv", "vllm-bench"])
def test_it_is_shown_in_every_format(how: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--format", how]) == 0
    page = capsys.readouterr().out
    assert "none" in page and "all" in page
    if how == "vllm-bench":
        assert all(json.loads(line)["total_input_tokens"] is None for line in page.splitlines())


def test_a_run_of_a_version_to_come_is_refused_in_a_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(manifest | {"schema": 2}))
    assert main(["report", str(run)]) == 2
    assert capsys.readouterr().err == f"alignment-tax: {run}: schema 2, this version reads 1: update\n"
