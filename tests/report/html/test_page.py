"""What the reader of the page sees."""

import re
from pathlib import Path

import pytest

from profiler.analysis.pictures.memory import MemoryBars
from profiler.report.html.page import SECTIONS
from profiler.report.html.pictures import memory
from tests.gate.stored import stored_run
from tests.meters.test_metered_run import metered_run
from tests.report.html.made import modelled
from tests.report.html.reading import Element, data_of, figure, read_page

PICTURES = (
    "forest", "ecdf", "waterfall", "timelines", "load_latency", "fractions", "front", "memory", "power",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Element:
    return read_page(modelled(tmp_path_factory.mktemp("runs") / "made"), harmful=0.02)


def not_measured(page: Element, key: str) -> str:
    found = figure(page, key)
    assert not found.all("div", data_draw=key), "a picture of nothing"
    return found.one("figcaption").text


def test_the_first_screen_has_validity_a_sentence_an_arm_and_the_tax_table(page: Element) -> None:
    verdict = page.one("section", id="verdict")
    assert "VALID" in verdict.text and "INVALID" not in verdict.text
    said = {item.one("h3").text: item.all("p")[0].text for item in verdict.one("ul", class_="verdicts").all("li")}
    assert list(said) == ["delay", "chunk", "block"]
    assert re.match(r"tax E2EL mean is \d[\d.]* % longer \[\d[^]]*\], \+3\d(\.\d)? ms;", said["delay"])
    table = verdict.one("table")
    assert [row[0] for row in table.rows()] == ["delay", "chunk", "block", "none, again"]
    cell = dict(zip([th.text for th in table.one("thead").all("th")], table.rows()[0], strict=True))["E2EL mean, ms"]
    assert re.match(r"\+3[\d.]+ \[\+[\d.]+, \+[\d.]+\] \+[\d.]+ \[\+.*\] % tax$", cell), cell
    assert page.text.index("none, again") < page.text.index("Tax by metric")


def test_a_claim_is_made_in_words_only_where_the_table_makes_it(page: Element) -> None:
    verdict = page.one("section", id="verdict")
    claimed = [word.text for cell in verdict.one("table").all("td") for word in cell.all("span") if "word" in
               word.attributes["class"] and word.text in ("tax", "saving")]  # fmt: skip
    marks = [em.text for em in verdict.all("em") if em.text in ("tax", "saving")]
    assert sorted(marks) == sorted(claimed)
    assert marks


def test_every_picture_is_drawn_or_says_why_not(page: Element) -> None:
    assert [f.attributes["id"] for f in page.all("figure")] == [f"picture-{key}" for key in PICTURES]
    drawn = data_of(page)["pictures"]
    for key in PICTURES:
        if key in drawn:
            box = figure(page, key).one("div", data_draw=key)
            assert box.attributes["role"] == "img"
            assert len(box.attributes["aria-label"]) > 20
            assert figure(page, key).one("figcaption").text
            assert figure(page, key).one("details").one("table").rows()
        else:
            assert not_measured(page, key).startswith("Not measured: ")
    assert drawn.keys() == {"forest", "ecdf", "waterfall", "timelines", "fractions", "front"}
    assert "no card in a test" in not_measured(page, "power")
    assert "alignment-tax saturate" in not_measured(page, "load_latency")


def test_pictures_refer_to_arms_by_their_place(page: Element) -> None:
    data = data_of(page)
    assert [arm["name"] for arm in data["arms"]] == ["none", "delay", "chunk", "block"]
    assert [arm["slot"] for arm in data["arms"]] == ["base", 0, 1, 2]
    (delay,) = (row for row in data["pictures"]["forest"]["panels"][0]["rows"] if row["arm"] == 1)
    assert delay["claimed"] and delay["ratio"][0] > 1


def test_the_share_of_harmful_requests_that_was_asked_for_is_in_the_picture_and_its_table(page: Element) -> None:
    assert data_of(page)["pictures"]["fractions"]["asked"] == 0.02
    found = figure(page, "fractions")
    assert "Asked for: 2 %" in found.one("figcaption").text
    assert any(row[:2] == ["delay", "2 %"] for row in found.one("table").rows())


def test_headings_go_down_one_level_at_a_time_and_landmarks_are_named(page: Element) -> None:
    body = page.one("body")
    levels = [int(found.tag[1]) for found in walk(body) if re.fullmatch(r"h[1-6]", found.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    assert len(body.all("main")) == len(body.all("header")) == len(body.all("footer")) == 1
    skip = body.all("a")[0]
    assert skip.attributes["href"] == "#main"
    ids = [found.attributes["id"] for found in walk(page) if "id" in found.attributes]
    assert len(ids) == len(set(ids))
    links = {a.attributes["href"] for a in body.all("a")}
    assert links <= {f"#{name}" for name in ids}, "a link out of the page"
    assert {f"#{section.key}" for section in SECTIONS} <= links


def walk(element: Element) -> list[Element]:
    found = []
    for child in element.children:
        if isinstance(child, Element):
            found += [child, *walk(child)]
    return found


def test_the_method_has_machine_versions_scenario_and_commands(page: Element) -> None:
    method = page.one("section", id="method")
    for said in ("a cpu", "alignment-tax 0.1.0", "name: quickstart", "alignment-tax profile --scenario scenario.yaml"):
        assert said in method.text
    assert "requests_per_trial: 8" in method.one("pre").text


def test_the_tables_of_the_terminal_are_all_there(page: Element) -> None:
    tables = page.one("section", id="figures")
    titles = [found.one("h3").text for found in tables.all("details")]
    for title in ("What each arm did", "What became of the requests", "Tax against the baseline [95 % interval]"):
        assert title in titles
    assert "ms a request on average" in tables.text


def test_an_invalid_run_says_so_first_and_why_and_marks_the_arm(tmp_path: Path) -> None:
    page = read_page(stored_run(tmp_path / "r", {"none": 500.0, "guard": 600.0}, fail=2))
    verdict = page.one("section", id="verdict")
    box = verdict.one("div", class_="validity invalid")
    assert box.text.startswith("INVALID")
    assert "requests failed" in box.text
    assert "guard invalid" in verdict.one("ul", class_="verdicts").text
    assert "requests failed" in page.one("section", id="warnings").text


def test_a_run_of_the_baseline_alone_has_no_verdict_and_no_empty_box(tmp_path: Path) -> None:
    page = read_page(stored_run(tmp_path / "r", {"none": 500.0}))
    assert "there is no arm beside the baseline" in page.one("section", id="verdict").text
    assert data_of(page)["pictures"].keys() == {"ecdf", "timelines"}
    for key in ("forest", "waterfall", "fractions", "front"):
        assert "Not measured: " in not_measured(page, key)


def test_a_run_of_one_block_has_no_taxes_and_says_why(tmp_path: Path) -> None:
    page = read_page(stored_run(tmp_path / "r", {"none": 500.0, "guard": 600.0}, blocks=1))
    assert "two blocks or more" in not_measured(page, "forest")
    assert "not measured A tax needs this arm and the baseline in two blocks" in page.one("section", id="verdict").text
    assert "· 1 block ·" in page.one("header").text
    assert "fewer than 2 blocks" in page.one("section", id="warnings").text


def test_a_run_in_which_every_request_failed(tmp_path: Path) -> None:
    page = read_page(stored_run(tmp_path / "r", {"none": 500.0}, fail=10))
    assert data_of(page)["pictures"] == {}
    assert "no request was answered" in not_measured(page, "ecdf")


def test_a_run_without_harmful_prompts_says_so(tmp_path: Path) -> None:
    page = read_page(stored_run(tmp_path / "r", {"none": 500.0, "guard": 600.0}))
    assert "no harmful request in this run" in not_measured(page, "fractions")
    assert "no such prompt" in not_measured(page, "front")


def test_a_dedicated_run_shows_each_arms_displacement(tmp_path: Path) -> None:
    from profiler.records.store import write_parts

    pool = {"kv_blocks": "100", "kv_block_tokens": "16", "kv_pool_tokens": "1600", "kv_pool_bytes": str(100 * 2**20)}
    facts = {"model": "m", "engine": "modelled", "vllm_version": "-", "device_name": "d", "device": "cpu", **pool}
    run = stored_run(
        tmp_path / "r", {"none": 500.0, "guard": 600.0},
        changed={"facts": facts, "scenario": {"isolation": "dedicated", "guards": {}, "load": {"kind": "closed"}}},
    )  # fmt: skip
    left = {**facts, "kv_blocks": "80", "kv_pool_tokens": "1280"}
    write_parts(run, [{"arm": "guard", "footprint_mib": 20.0, "how": "PSS", "predicted_blocks": 80, "facts": left}])
    page = read_page(run)
    (row,) = data_of(page)["pictures"]["memory"]["pool"]["rows"]
    assert (row["who"], row["share"]) == ("guard", 0.2)
    caption = figure(page, "memory").one("figcaption").text
    assert "an engine an arm" in caption


def test_more_arms_than_colours_are_still_told_apart(tmp_path: Path) -> None:
    arms = {"none": 500.0, **{f"g{i}": 500.0 + 10 * i for i in range(10)}}
    page = read_page(stored_run(tmp_path / "r", arms, blocks=2, requests=3))
    assert [arm["slot"] for arm in data_of(page)["arms"]][-2:] == [0, 1]
    assert len(page.one("ul", class_="verdicts").all("li")) == 10


def test_verdicts_that_were_only_recorded_are_said_on_the_first_screen(tmp_path: Path) -> None:
    scenario = {"verdicts": "recorded", "guards": {}, "load": {"kind": "closed"}}
    page = read_page(stored_run(tmp_path / "r", {"none": 500.0, "guard": 600.0}, changed={"scenario": scenario}))
    assert 'forced to "allow": no guard blocked anything' in page.one("section", id="verdict").text


def test_a_metered_run_draws_its_power_and_claims_its_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = read_page(metered_run(tmp_path, monkeypatch))
    data = data_of(page)["pictures"]["power"]
    assert len(data["windows"]) == 12 and {point["source"] for point in data["points"]} == {"gpu0"}
    assert re.search(
        r"tax GPU energy is [\d.]+ % higher \[[\d.]+, [\d.]+\], \+1\.\d+ J/token",
        page.one("section", id="verdict").text,
    )
    assert "GPU J/token" in {panel["metric"] for panel in data_of(page)["pictures"]["forest"]["panels"]}
    assert len(figure(page, "power").one("table").rows()) == 12


def test_a_p99_of_few_requests_is_marked_and_the_mark_is_explained(page: Element) -> None:
    found = figure(page, "ecdf")
    assert found.one("table").rows()[0][6].endswith("*")
    assert "*: fewer than 459 requests: the sample's p99" in found.one("figcaption").text


def test_memory_is_called_what_it_is() -> None:
    assert memory._caption((MemoryBars("RSS, peak", ()),)).startswith(
        "RSS, peak: the most that an arm's processes held"
    )
    assert "role" in memory._caption((MemoryBars("PSS", ()),))


def test_arms_whose_names_differ_only_at_their_end_are_told_apart(tmp_path: Path) -> None:
    long = ["x" * 79 + end for end in "ab"]
    page = read_page(stored_run(tmp_path / "r", {"none": 500.0, long[0]: 600.0, long[1]: 700.0}, blocks=1))
    assert [arm["name"] for arm in data_of(page)["arms"]] == ["none", *long]
