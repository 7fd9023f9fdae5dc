"""The page of a saturation sweep: capacities in words, the load-latency picture with its SLO."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from guards.controls import Doubler
from profiler.analysis.capacity import Capacity
from profiler.analysis.stats import Interval
from profiler.cli import main
from profiler.report.html.saturation_page import _row, saturation_page_of
from profiler.saturation.result import ArmCapacity
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
    assert "alignment-tax saturate --good-fraction" in (tmp_path / "s.html").read_text()


def test_a_capacity_without_bounds_and_a_tax_that_may_be_nothing_are_told_as_that() -> None:
    tax = Interval(-0.012, -0.334, 0.119, 0.95)
    found = _row(1, "a", ArmCapacity(Capacity(6.44, 0.0, math.inf), tax, (), unfinished=False)).sentence
    assert found == (
        "Keeps the SLO up to about 6.44 requests/s; no rate tried clearly held or clearly missed it; "
        "no capacity tax found [-33.4, +11.9] %, 95 %."
    )
    found = _row(1, "a", ArmCapacity(Capacity(6.44, 5.0, math.inf), None, (), unfinished=False)).sentence
    assert found == "Keeps the SLO up to about 6.44 requests/s, surely 5 or more; no rate tried clearly missed it."


def test_the_commands_have_every_flag_the_real_path_and_say_what_a_dirty_tree_lacks(run: Path) -> None:
    found = swept(run)
    manifest = {**found.run.manifest, "git_commit": "abc+", "not_measured": {"gpu": "no card in a test"}}
    goal = replace(found.goal, good_fraction=0.8, curve=True)
    page = parsed(saturation_page_of(replace(found, goal=goal, run=replace(found.run, manifest=manifest))))
    said = page.one("section", id="method").text
    seconds = f"{goal.probe_seconds:g}"
    flags = f"--good-fraction 0.8 --resolution {goal.resolution:g} --probe-seconds {seconds} --curve"
    assert f"alignment-tax saturate {flags} --scenario scenario.yaml" in said
    assert f"alignment-tax report {found.run.path}" in said
    assert "git checkout abc " in said and "but for local changes that are not stored" in said
    assert "no card in a test" in page.one("section", id="warnings").text
