"""The report's page in a browser: what it draws, that it is quiet, that it fits, and that it reads in any light."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.browser import WIDTHS, opened
from tests.browser.conftest import PAGES

_PICTURES = """() => [...document.querySelectorAll("figure")].map((figure) => ({
  id: figure.id,
  absent: (figure.querySelector(".absent")?.textContent ?? "").trim(),
  marks: [...figure.querySelectorAll("svg :is(path, circle, rect, line)")]
    .filter((mark) => { const { width, height } = mark.getBoundingClientRect(); return width + height > 2; }).length,
  box: figure.getBoundingClientRect().toJSON(),
  drawings: [...figure.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect().toJSON()),
  named: figure.querySelector("[role=img]")?.getAttribute("aria-label") ?? "",
}))"""
_COLOURS = """() => {
  const of = (element, what) => getComputedStyle(element)[what];
  const texts = [...document.querySelectorAll("main :is(p, td, th, li, summary, h2, h3, figcaption), main svg text")]
    .filter((element) => element.textContent.trim() && element.getBoundingClientRect().width > 0);
  return {
    paper: of(document.body, "backgroundColor"),
    inks: [...new Set(texts.map((text) => of(text, text.tagName === "text" ? "fill" : "color")))],
  };
}"""


def pictures(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(_PICTURES)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_it_is_quiet_and_asks_for_nothing(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    with opened(browser, pages[name], width=width) as (_, heard):
        assert (heard.console, heard.errors, heard.asked) == ([], [], [])


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_drawn_or_says_why_not(browser: Browser, pages: dict[str, Path], name: str) -> None:
    with opened(browser, pages[name]) as (page, _):
        found = pictures(page)
        assert len(found) >= (1 if name == "sizes" else 9)
        for one in found:
            assert bool(one["marks"]) != bool(one["absent"]), one["id"]
            assert one["absent"].startswith("Not measured:") or one["marks"] >= 3, one["id"]
            assert one["named"] or one["absent"], one["id"]


def test_a_full_run_lacks_no_picture(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["full"]) as (page, _):
        assert [one["id"] for one in pictures(page) if one["absent"]] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["full", "hostile", "nothing measured", "sizes"])
def test_nothing_overlaps_or_leaves_the_window(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    with opened(browser, pages[name], width=width) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = pictures(page)
        for one in found:
            for box in (one["box"], *one["drawings"]):
                assert box["left"] >= 0 and box["right"] <= width + 0.5, one["id"]
        for above, below in zip(found, found[1:], strict=False):
            assert above["box"]["bottom"] <= below["box"]["top"] + 0.5, (above["id"], below["id"])


def luminance(colour: str) -> float:
    """Relative luminance of an opaque colour (WCAG 2.2)."""
    assert colour.startswith("rgb("), colour
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("dark", "medium"), [(False, "screen"), (True, "screen"), (False, "print"), (True, "print")])
def test_it_reads_by_day_by_night_and_on_paper(
    browser: Browser, pages: dict[str, Path], dark: bool, medium: str
) -> None:
    with opened(browser, pages["full"], dark=dark, medium=medium) as (page, _):
        found = page.evaluate(_COLOURS)
        paper = luminance(found["paper"])
        assert paper < 0.05 if dark and medium == "screen" else paper == 1
        assert len(found["inks"]) >= 2
        for ink in found["inks"]:
            high, low = sorted((luminance(ink), paper), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, ink


def test_arms_are_switched_off_and_on(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["full"]) as (page, heard):
        before = {one["id"]: one["marks"] for one in pictures(page)}
        page.locator("#picture-ecdf input[type=checkbox]").nth(1).uncheck()
        assert {one["id"]: one["marks"] for one in pictures(page)}["picture-ecdf"] < before["picture-ecdf"]
        page.locator("#picture-ecdf input[type=checkbox]").nth(1).check()
        assert {one["id"]: one["marks"] for one in pictures(page)} == before
        assert heard.errors == [] and heard.console == []


_WHISKERS = """([key, data]) => [draw[key](data, { width: 600, on: () => true })].flatMap((drawn) =>
  [...drawn.querySelectorAll("[aria-label=link] path, [aria-label=area] path")].map((path) => {
    const at = path.getAttribute("d").match(/-?[0-9.]+/g).map(Number);
    const spread = (part) => Math.max(...part) - Math.min(...part);
    return spread(at.filter((_, i) => i % 2 === (["front", "waterfall"].includes(key) ? 0 : 1)));
  }))"""
_FREE = {
    "load_latency": {"panels": [{"metric": "E2EL", "slo": None, "points": [
        {"arm": 1, "rate": 1, "q": "p50", "ms": [10, None, None]},
        {"arm": 1, "rate": 2, "q": "p50", "ms": [99, 9, 500]}]}]},
    "fractions": {"own": 0.5, "asked": None, "points": [
        {"arm": 1, "harmful": share, "ms": [9, None, None]} for share in (0, 1)]},
    "front": {"points": [
        {"arm": 1, "tax": [9, None, None], "share": [0.5, None, None], "front": True},
        {"arm": 2, "tax": [90, 80, 99], "share": [0.5, 0.4, 0.6], "front": True}]},
    "scale": {"panels": [{"title": "t", "percent": False, "laws": [], "points": [
        {"arm": 1, "size": 1e8, "tax": [9, None, None]}, {"arm": 1, "size": 1e9, "tax": [90, 80, 99]}]}]},
    "waterfall": {"panels": [{"arm": 1, "metric": "E2EL", "steps": [
        {"entry": "direct", "start": 0, "end": 9, "reach": None, "said": "9"}]}]},
}  # fmt: skip


@pytest.mark.parametrize("key", _FREE)
def test_an_end_that_the_data_do_not_bound_is_drawn_to_the_edge(
    browser: Browser, pages: dict[str, Path], key: str
) -> None:
    """A whisker of no length would be certainty."""
    with opened(browser, pages["full"]) as (page, heard):
        assert page.evaluate(_WHISKERS, [key, _FREE[key]])[0] > 120
        assert heard.errors == []


def test_on_paper_nothing_is_folded_away(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    with opened(browser, pages["full"]) as (page, heard):
        page.pdf(path=tmp_path / "page.pdf")
        assert (tmp_path / "page.pdf").stat().st_size > 50_000
        assert heard.errors == [] and heard.asked == []
