"""A run for other programs: Markdown for a pull request, tidy CSV, vLLM bench's result."""

import csv
import json
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.cli import main
from profiler.report.markdown import escaped
from tests.gate.stored import stored_run
from tests.report.results import arm, result

EVIL = "<script>alert(1)</script>|`x`\x1b[2J\u202e@all #1 www.evil.example http://evil.example ![a](b) *b*"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    arms = {"none": 500.0, EVIL: 600.0, "=1+1": 500.0}
    return stored_run(tmp_path_factory.mktemp("runs") / "a", arms, blocked={EVIL: (0, 2)})


def shown(capsys: pytest.CaptureFixture[str], run: Path, how: str) -> str:
    assert main(["report", str(run), "--format", how]) == 0
    return capsys.readouterr().out


def test_markdown_has_the_tables_and_every_row_its_columns(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(capsys, run, "markdown")
    assert "**Tax against the baseline \\[95 % interval\\]**" in page
    assert "E2EL mean, ms" in page
    for table in re.findall(r"(?:^\|.*\n)+", page, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_markdown_escapes_what_comes_from_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(capsys, run, "markdown")
    assert "&lt;script&gt;alert" in page
    for bad in ("<script", "\x1b", "\u202e", "@all", "#1", "://", "www.e", "![a](b)", " *b*", "|`"):
        assert bad not in page


@given(st.text(max_size=60))
def test_any_text_is_one_line_of_text(text: str) -> None:
    found = escaped(text)
    assert len(found.splitlines()) <= 1
    assert "<" not in found
    assert ">" not in found
    assert not re.search(r"(?<!\\)(?:\\\\)*[`|*\[\]~$]", found)


def test_csv_is_tidy(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(StringIO(shown(capsys, run, "csv"))))
    keys = [(row["arm"], row["metric"], row["statistic"]) for row in rows]
    assert len(set(keys)) == len(keys)
    by_key = dict(zip(keys, rows, strict=True))
    guarded = next(name for name in {row["arm"] for row in rows} if name.startswith("<script>"))
    tax = by_key[guarded, "e2el_mean", "difference"]
    assert (tax["unit"], tax["valid"]) == ("ms", "true")
    assert float(tax["ci95_low"]) < 100 < float(tax["ci95_high"])
    assert float(by_key[guarded, "e2el_mean", "difference_relative"]["value"]) == pytest.approx(0.2, abs=0.01)
    assert float(by_key[guarded, "block_recall", "value"]["value"]) == pytest.approx(0.4)
    absent = by_key[guarded, "over_refusal_borderline", "value"]
    assert (absent["value"], absent["not_measured"]) == ("", "no such prompt")
    assert by_key["none", "energy_per_token", "value"]["not_measured"] == "no meter in a test"
    assert {row["arm"][0] for row in rows}.isdisjoint("=+-@")
    assert all("\x1b" not in row["arm"] for row in rows)


def test_vllm_bench_has_its_keys_and_the_reports_figures(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, run, "vllm-bench").splitlines()
    arms = {found["label"]: found for found in map(json.loads, lines)}
    assert list(arms) == ["none", EVIL, "=1+1"]
    mine = arms[EVIL]
    assert {
        "date", "backend", "endpoint_type", "model_id", "tokenizer_id", "num_prompts", "request_rate", "burstiness",
        "max_concurrency", "duration", "completed", "failed", "total_input_tokens", "total_output_tokens",
        "request_throughput", "request_goodput", "output_throughput", "total_token_throughput",
        *(f"{s}_{m}_ms" for s in ("mean", "median", "std", "p99") for m in ("ttft", "tpot", "itl", "e2el")),
    } <= mine.keys()  # fmt: skip
    assert (mine["completed"], mine["failed"], mine["num_prompts"], mine["max_concurrency"]) == (80, 0, 80, 4)
    assert mine["mean_e2el_ms"] == pytest.approx(600, rel=0.01)
    assert mine["p99_e2el_ms"] == pytest.approx(float(np.percentile(mine["latencies"], 99)) * 1000)
    assert mine["mean_ttft_ms"] == pytest.approx(50)
    assert mine["total_output_tokens"] == sum(mine["output_lens"]) == 1600
    assert mine["output_throughput"] == pytest.approx(1600 / mine["duration"])


def test_a_saturation_sweep_has_no_such_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = stored_run(tmp_path / "s", {"none": 500.0}, blocks=2, changed={"kind": "saturation"})
    assert main(["report", str(found), "--format", "csv"]) == 2
    assert "--format csv:" in capsys.readouterr().err


def test_a_result_made_by_hand_is_shown_whole() -> None:
    from profiler.report.formats import formatted

    page = formatted(result(arm("none"), arm("input")), "markdown", None)
    assert "What each arm did" in page
    assert "| " in page
