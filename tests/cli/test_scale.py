"""`report RUN RUN RUN`: the tax of one scenario at several sizes of model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from profiler.cli import main
from tests.gate.stored import GUARD, stored_run

FACTS = {"engine": "modelled", "vllm_version": "0.32.0", "device_name": "a cpu"}
# Size, the baseline's E2EL in ms and the tax: absolute size^0.2, relative size^-0.3.
MODELS = [(1e8, 200.0, 20.0), (1e9, 200 * 10**0.5, 20 * 10**0.2), (1e10, 2000.0, 20 * 100**0.2)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [run_of(folder / f"m{i}", *one, seed=i) for i, one in enumerate(MODELS)]


def run_of(folder: Path, size: float, base: float, tax: float, seed: int = 1, called: str = "x", **more: Any) -> Path:
    facts = FACTS | {"model": folder.name} | ({"model_parameters": f"{size:.0f}"} if size else {})
    changed = {"facts": facts, **more}
    arms = {"none": base, called: base + tax}
    return stored_run(folder, arms, requests=50, seed=seed, guards={called: GUARD}, changed=changed)


def said(capsys: pytest.CaptureFixture[str], runs: Sequence[Path], *more: str) -> str:
    assert main(["report", *map(str, runs), *more]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], runs: Sequence[Path], *more: str) -> str:
    assert main(["report", *map(str, runs), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_it_says_how_the_tax_grows_and_that_it_shrinks_in_proportion(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = " ".join(said(capsys, runs[::-1]).split())
    assert "100M: m0, m0 1B: m1, m1 10B: m2, m2" in shown
    assert "E2EL mean, ms: absolute tax grows as size^0.2" in shown
    assert "relative tax shrinks as size^-0." in shown
    assert "in proportion the tax shrinks as models grow." in shown
    assert "TTFT mean, ms: no exponent: the tax of m0 is not told from zero: more blocks." in shown
    assert "warning" not in shown


def test_as_data_and_as_markdown(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(said(capsys, runs, "--format", "json"))
    assert [run["parameters"] for run in document["scale"]] == [1e8, 1e9, 1e10]
    found = document["arms"]["x"]["e2el_ms.mean"]
    assert [point["run"] for point in found["points"]] == ["m0", "m1", "m2"]
    low, high = found["relative"]["exponent"]["ci95"]
    assert low < found["relative"]["exponent"]["estimate"] < high
    assert found["relative"]["exponent"]["estimate"] == pytest.approx(-0.3, abs=0.05)
    assert found["relative"]["trend"] == "shrinks"
    assert "| E2EL mean, ms | 100M |" in said(capsys, runs, "--format", "markdown")


def test_two_sizes_have_no_interval(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert "no exponent: 2 size(s): an interval needs 3." in " ".join(said(capsys, runs[:2]).split())


def test_a_size_that_the_run_does_not_say_is_given(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = run_of(tmp_path / "old", 0, 20000.0, 20 * 1000**0.2)
    line = refused(capsys, [*runs, old])
    assert f"{old}: does not say how many parameters" in line and f"--size {old}=1.2B" in line
    assert "100B: old" in said(capsys, [*runs, old], "--size", f"{old}=100B")
    assert "100B: old" in said(capsys, [*runs, old], "--size", "old=1e11")


@pytest.mark.parametrize("text", ["m0", "m0=", "=1B", "m0=large", "m0=-1B", "m0=0", "m0=1e999"])
def test_what_states_no_size_is_refused(runs: list[Path], capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert refused(capsys, runs, "--size", text).startswith(f"alignment-tax: --size: `{text}`")


def test_what_it_has_not_is_refused(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--format csv" in refused(capsys, runs, "--format", "csv")
    assert "--size: elsewhere is none of the runs" in refused(capsys, runs, "--size", "elsewhere=1B")
    assert "--size" in refused(capsys, runs[:1], "--size", "m0=1B")


def test_arms_match_by_their_guards_and_what_else_differs_is_said(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = run_of(tmp_path / "other", 1e11, 20000.0, 80.0, called="y", machine={"cpu": "another", "cores": 2})
    document = json.loads(said(capsys, [*runs, other], "--format", "json"))
    assert list(document["arms"]) == ["x"]
    assert [point["run"] for point in document["arms"]["x"]["e2el_ms.mean"]["points"]][-1] == "other"
    assert any(w.startswith("m0 and other: machines differ: cpu a cpu and another") for w in document["warnings"])


def test_a_page_is_written_where_it_is_asked_for(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = said(capsys, runs, "--html", str(tmp_path / "sizes.html"))
    page = (tmp_path / "sizes.html").read_text(encoding="utf-8")
    assert f"Page: {tmp_path / 'sizes.html'}" in shown.replace("\n", "")
    assert "Models of 100M, 1B, 10B" in page and "in proportion the tax shrinks as models grow." in page
    assert said(capsys, runs, "--format", "html") == page
    assert "--html" in refused(capsys, runs, "--html", str(tmp_path / "nowhere" / "sizes.html"))
