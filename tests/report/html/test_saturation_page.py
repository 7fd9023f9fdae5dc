"""The page of a saturation sweep: capacities in words, the load-latency picture with its SLO."""

from pathlib import Path

import pytest

from guards.controls import Doubler
from profiler.cli import main
from tests.report.html.reading import Element, data_of, figure, parsed
from tests.saturation.sweeps import sweep, swept
from tests.saturation.test_sweep import SHORT, TWO_SEATS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sweep(tmp_path_factory.mktemp("sweep"), SHORT, {"doubler": (Doubler(),)}, TWO_SEATS)


@pytest.fixture(scope="module")
def page(run: Path) -> Element:
    assert main(["report", str(run)]) == 0
    return parsed((run / "report.html").read_text())


def test_each_arm_has_its_capacity_in_a_sentence(run: Path, page: Element) -> None:
    capacities = {name: arm.capacity.estimate_hz for name, arm in swept(run).arms.items()}
    said = {item.one("h3").text: item.one("p").text for item in page.one("ul", class_="verdicts").all("li")}
    for name, rate_hz in capacities.items():
        assert rate_hz is not None and f"up to {rate_hz:.3g} requests/s" in said[name]
    assert "a capacity tax of +" in said["doubler"] and "tax" not in said["none"]
    assert [row[0] for row in page.one("section", id="verdict").one("table").rows()] == ["none", "doubler"]


def test_the_pictures_have_the_slo_the_required_share_and_every_rate(page: Element) -> None:
    pictures = data_of(page)["pictures"]
    assert pictures.keys() == {"goodput", "load_latency"}
    assert pictures["goodput"]["required"] == SHORT.good_fraction
    assert {one["arm"] for one in pictures["goodput"]["capacities"]} == {0, 1}
    panels = {panel["metric"]: panel for panel in pictures["load_latency"]["panels"]}
    assert panels["E2EL"]["slo"] == SHORT.slo.e2el_ms and panels["TTFT"]["slo"] is None
    points = panels["E2EL"]["points"]
    assert {point["arm"] for point in points} == {0, 1} and {point["q"] for point in points} == {"p50", "p99"}
    drawn = {(point["arm"], round(point["rate"], 3)) for point in points}
    tried = {(point["arm"], round(point["rate"], 3)) for point in pictures["goodput"]["points"]}
    assert drawn <= tried and len(drawn) > 4
    assert "dashed line" in figure(page, "load_latency").one("figcaption").text


def test_the_page_goes_to_standard_output_or_elsewhere(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run), "--format", "html"]) == 0
    assert parsed(capsys.readouterr().out).one("title").text == "Capacity tax of m: sweep"
    assert main(["report", str(run), "--html", str(tmp_path / "s.html")]) == 0
    assert f"Page: {tmp_path / 's.html'}" in capsys.readouterr().out
    assert "alignment-tax saturate --scenario scenario.yaml" in (tmp_path / "s.html").read_text()
