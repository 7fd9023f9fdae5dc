"""A run whose every text is hostile: nothing runs, nothing is fetched, nothing is hidden, and the page stays small."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.browser import WIDTHS, opened
from tests.browser.runs import BIDI, EVIL, SCRIPTS

_ACT = """() => {
  document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  for (const one of document.querySelectorAll("main *")) {
    const { x, y, width, height } = one.getBoundingClientRect();
    const where = { bubbles: true, clientX: x + width / 2, clientY: y + height / 2 };
    for (const kind of ["mouseover", "mousemove", "click"]) one.dispatchEvent(new MouseEvent(kind, where));
    for (const kind of ["pointerenter", "pointermove"]) one.dispatchEvent(new PointerEvent(kind, where));
  }
}"""
_ODD = """() => [...document.querySelectorAll("*")].flatMap((one) => [
  ...[...one.attributes].filter(({ name }) => name.startsWith("on")).map(({ name }) => `${one.tagName} ${name}`),
  ...(["IMG", "IFRAME", "OBJECT", "EMBED", "BASE", "FORM", "LINK"].includes(one.tagName) ? [one.tagName] : []),
  ...[one.getAttribute("href"), one.getAttribute("src"), one.getAttribute("xlink:href")]
    .filter((to) => to !== null && !to.startsWith("#")),
])"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["hostile", "sizes"])
def test_nothing_runs_and_nothing_is_fetched(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    with opened(browser, pages[name], width=width) as (page, heard):
        page.evaluate(_ACT)
        for box in page.locator(".drawing svg").all():
            box.hover(force=True)  # tips are made from texts too
        assert page.evaluate("typeof window.pwned") == "undefined"
        assert page.evaluate(_ODD) == []
        assert (heard.console, heard.errors, heard.asked) == ([], [], [])


def test_it_is_text_that_the_reader_sees(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["hostile"]) as (page, _):
        said = page.evaluate("document.documentElement.textContent + document.title")
        shown = page.evaluate("document.body.innerText")
        names = page.evaluate("[...document.querySelectorAll('[aria-label]')].map((one) => one.ariaLabel).join(' ')")
        for text in (said, shown, names):
            assert not any(c in text for c in BIDI)
            assert not any(ord(c) < 32 and c not in "\n\t" for c in text)
        assert SCRIPTS[0] in shown and "⟨U+202E⟩" in shown and "{{7*7}}" in shown
        assert "⟨U+D800⟩" in shown and "⟨U+0000⟩" in shown


def test_a_megabyte_in_every_field_leaves_it_small(pages: dict[str, Path]) -> None:
    content = pages["hostile"].read_bytes()
    assert len(content) < 5 * 2**20
    assert content.decode("utf-8").isprintable() is False  # line ends, but no controls:
    assert not {c for c in content.decode("utf-8") if ord(c) < 32} - {"\n"}
    assert EVIL[:30] not in content.decode("utf-8")
