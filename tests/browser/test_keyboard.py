"""The page without a mouse, and as a screen reader meets it."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.browser import AXE, NO_AXE, WIDTHS, opened

_STOPS = """() => {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']");
  return [...all].filter((stop) => stop.checkVisibility()).map((stop, place) => (stop.dataset.stop = String(place)));
}"""
_AT = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  return {
    stop: at.dataset.stop ?? null, name: at.tagName, skip: at.classList.contains("skip"),
    ringed: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""
_MOST = 400


def at(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(_AT)
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_tab_reaches_everything_in_order_and_shows_where_it_is(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    with opened(browser, pages["full"], width=width) as (page, _):
        page.emulate_media(reduced_motion="reduce")
        wanted = page.evaluate(_STOPS)
        assert len(wanted) > 20
        reached = []
        for _ in range(_MOST):
            page.keyboard.press("Tab")
            now = at(page)
            if now["name"] == "BODY" or now["stop"] in reached:
                break
            assert now["ringed"], now
            assert now["seen"], now
            reached.append(now["stop"])
        # A box that scrolls may be a stop of the browser's own.
        assert [stop for stop in reached if stop is not None] == wanted


def test_the_first_stop_skips_to_the_verdict(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["full"]) as (page, _):
        page.keyboard.press("Tab")
        assert at(page)["skip"] and at(page)["seen"]
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_every_fold_opens_and_every_switch_turns_from_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["full"]) as (page, _):
        for fold in page.locator("details").all():
            before = fold.evaluate("(it) => it.open")
            fold.locator("summary").focus()
            page.keyboard.press("Enter")
            assert fold.evaluate("(it) => it.open") is not before
        for switch in page.locator("input[type=checkbox]").all():
            switch.focus()
            page.keyboard.press("Space")
            assert not switch.is_checked()
            # Drawn again, and the focus is where it was.
            assert switch.evaluate("(it) => it === document.activeElement")


WIDE, NARROW = WIDTHS[1], WIDTHS[0]
LOOKS = [
    *(("full", width, dark) for width in WIDTHS for dark in (False, True)),
    ("hostile", NARROW, False), ("hostile", WIDE, True), ("invalid", WIDE, False),
    ("nothing measured", NARROW, True), ("sizes", WIDE, False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "width", "dark"), LOOKS)
def test_axe_finds_nothing_serious(browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool) -> None:
    if not AXE.is_file():
        pytest.skip(NO_AXE)
    with opened(browser, pages[name], width=width, dark=dark) as (page, _):
        page.evaluate("() => document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
        grave = [
            f"{one['id']}: {node['target']}: {node['failureSummary']}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert grave == []
