"""Whatever a run's names hold, they are text on the page: no element, no attribute, no script, nothing invisible."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.report.html.script import as_data
from profiler.report.html.text import shown
from tests.gate.stored import stored_run
from tests.report.html.reading import Element, data_of, parsed, read_page

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}\u202e\u2066\x1b[2J\x00\u2028&lt;"
LONG = "x" * 1_000_000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Element:
    return read_page(evil_run(tmp_path_factory.mktemp("runs") / "r"))


def evil_run(folder: Path) -> Path:
    text = {"model": EVIL, "engine": EVIL, "vllm_version": EVIL, "device_name": EVIL, EVIL: LONG}
    return stored_run(
        folder,
        {"none": 500.0, EVIL: 600.0, LONG: 700.0},
        blocked={EVIL: (0, 2)},
        changed={
            "facts": text, "machine": {EVIL: EVIL}, "versions": {EVIL: EVIL}, "git_commit": EVIL, "started": EVIL,
            "not_measured": {EVIL: EVIL, "gpu": EVIL}, "placements": {EVIL: EVIL}, "prompts": {EVIL: 1},
            "scenario": {"name": EVIL, EVIL: [EVIL, LONG], "guards": {}, "load": {"kind": "closed"}},
        },
    )  # fmt: skip


def test_a_hostile_run_makes_no_markup_and_nothing_invisible(page: Element) -> None:
    assert page.all("img") == []
    scripts = page.all("script")
    assert len(scripts) == 4 and [s.attributes for s in scripts] == [
        {"type": "application/json", "id": "data"},
        {},
        {},
        {},
    ]
    text = page.text
    assert "<script>alert(1)</script>" in text and "⟨U+202E⟩" in text and "{{7*7}}" in text
    # The vendored library's own text is not shown.
    seen = "".join(page.one(tag).text for tag in ("title", "header", "nav", "main", "footer")) + json.dumps(
        data_of(page)
    )
    assert not {c for c in seen if unicodedata.category(c) in ("Cc", "Cf") and c != "\xad"}


def test_a_long_name_is_cut_and_says_how_long_it_was(page: Element) -> None:
    assert "… (1,000,000 characters)" in page.one("section", id="verdict").text
    assert len(page.text) < 2_000_000
    assert max(len(arm["name"]) for arm in data_of(page)["arms"]) < 200


@settings(deadline=None)
@given(st.text(max_size=200))
def test_shown_text_is_one_line_of_what_can_be_seen(text: str) -> None:
    found = shown(text)
    assert len(found.splitlines()) <= 1
    assert found.isprintable()
    found.encode("utf-8")  # also of half a surrogate pair
    if text.isprintable():
        assert found == text


@settings(deadline=None)
@given(st.recursive(st.text() | st.floats() | st.integers(-9, 9) | st.none() | st.booleans(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))  # fmt: skip
def test_any_data_is_json_that_cannot_end_a_script(found: object) -> None:
    text = as_data(found)
    assert not set("<>&\u2028\u2029") & set(text)
    json.loads(text)
    page = parsed(f'<script type="application/json" id="data">{text}</script><p>after</p>')
    assert page.one("p").text == "after"
    assert data_of(page) == json.loads(text)


def test_what_is_not_finite_is_null() -> None:
    assert as_data([float("inf"), float("nan"), 1.0, True]) == "[null,null,1.0,true]"


def test_a_style_of_the_run_is_never_in_an_attribute(page: Element) -> None:
    """Attributes that hold text of the run are labels; everything else is of a known form."""
    for element in [*page.all("li"), *page.all("tr")]:
        assert re.fullmatch(r"(--c: var\(--arm-(base|\d)\))?", element.attributes.get("style", ""))
    tags = ("div", "span", "a", "th", "td", "p", "details", "section")
    assert not [name for tag in tags for found in page.all(tag) for name in found.attributes if name.startswith("on")]
