"""`alignment-tax compare`: arms are matched by their guards, differences have intervals, other differences are told."""

import json
from pathlib import Path

import pytest

from profiler.cli import main
from tests.gate.stored import GUARD, stored_run

OTHER = GUARD | {"threshold": 0.9}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    first = stored_run(
        folder / "one", {"none": 500.0, "mine": 600.0, "gone": 550.0}, guards={"mine": GUARD, "gone": OTHER},
        blocked={"mine": range(0, 10, 2)},
    )  # fmt: skip
    second = stored_run(
        folder / "two", {"none": 500.0, "renamed": 660.0}, guards={"renamed": GUARD}, seed=9,
        blocked={"renamed": (0, 2)}, blocks=6,
        changed={"machine": {"cpu": "a faster cpu", "cores": 2}},
    )  # fmt: skip
    return first, second


def test_the_difference_is_found_and_nothing_where_there_is_none(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, runs), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    arms = {arm["second"]: arm for arm in found["arms"]}
    assert [(arm["first"], arm["second"]) for arm in found["arms"]] == [("none", "none"), ("mine", "renamed")]
    assert found["only_first"] == ["gone"]
    for key in ("e2el_ms.mean", "e2el_ms.p50"):
        change = arms["renamed"]["metrics"][key]
        assert change["absolute"]["estimate"] == pytest.approx(60, abs=3)
        low, high = change["relative"]["ci95"]
        assert low < 0.1 < high
        assert change["beyond_floor"] is True
        assert arms["none"]["metrics"][key]["beyond_floor"] is False
    recall = arms["renamed"]["benefit"]["block_recall"]
    assert recall["difference"]["estimate"] == pytest.approx(0.4 - 1.0)
    assert -1 <= recall["difference"]["ci95"][0] < -0.6 < recall["difference"]["ci95"][1] < 0


def test_the_page_is_80_columns_wide_and_tells_what_differs(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, runs)]) == 0
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= 80
    words = " ".join(page.split())
    assert "two against one" in words
    assert "renamed, called mine in the first run" in words
    assert "Only in one: gone" in words
    assert "warning: machines differ: cpu a cpu and a faster cpu" in words


def test_a_run_against_itself_differs_in_nothing(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(runs[0]), str(runs[0]), str(runs[1]), "--format", "json"]) == 0
    same, other = json.loads(capsys.readouterr().out)["comparisons"]
    assert same["warnings"] == []
    assert len(same["arms"]) == 3
    assert all(c["absolute"]["estimate"] == 0 for arm in same["arms"] for c in arm["metrics"].values())
    assert other["warnings"]


def test_what_is_no_run_is_one_line(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(runs[0]), "nowhere"]) == 2
    assert "nowhere: no run there" in capsys.readouterr().err
