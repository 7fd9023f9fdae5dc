"""The page asks nobody for anything, and no script runs in it but its own."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

import profiler.report.html as package
from profiler.report.html.script import VENDORED
from tests.report.html.made import modelled
from tests.report.html.reading import Element, read_page

FOLDER = Path(package.__file__).parent


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Element:
    return read_page(modelled(tmp_path_factory.mktemp("runs") / "made", blocks=2, arms=("none", "delay")))


def test_the_policy_allows_exactly_the_pages_own_scripts(page: Element) -> None:
    (policy,) = (m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in rules["script-src"]
    scripts = ["".join(str(c) for c in s.children) for s in page.all("script") if "type" not in s.attributes]
    wanted = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts}
    assert set(rules["script-src"].split()) == wanted
    assert len(wanted) == 3


def test_nothing_is_fetched(page: Element) -> None:
    for tag, name in (("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("object", "data")):
        assert not [e for e in page.all(tag) if name in e.attributes]
    style = "".join(str(child) for child in page.one("style").children)
    assert "url(" not in style and "@import" not in style


def test_own_scripts_never_read_markup() -> None:
    own = [*(FOLDER / "assets").glob("*.js"), *(FOLDER / "assets" / "pictures").glob("*.js")]
    assert len(own) > 9
    for file in own:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.html\(",
                             file.read_text()), file.name  # fmt: skip


def test_every_picture_has_a_script_that_draws_it(page: Element) -> None:
    scripts = "".join(p.read_text() for p in (FOLDER / "assets" / "pictures").glob("*.js"))
    for figure in page.all("figure"):
        assert f"draw.{figure.attributes['id'].removeprefix('picture-')} = " in scripts


def test_vendored_files_are_those_whose_versions_are_written_down() -> None:
    lines = (FOLDER / "vendor" / "VERSIONS.txt").read_text().splitlines()
    said = dict(line.split()[-2:] for line in lines)
    assert set(said) == set(VENDORED) == {file.name for file in (FOLDER / "vendor").glob("*.js")}
    for name, sha256 in said.items():
        content = (FOLDER / "vendor" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
        version = next(line for line in lines if name in line).split()[1]
        assert f" v{version} ".encode() in content[:100]
        assert b"</script" not in content.lower()


@pytest.mark.parametrize("name", ["d3", "plot"])
def test_vendored_files_have_their_licence(name: str) -> None:
    assert "Permission to use, copy, modify" in (FOLDER / "vendor" / f"{name}.LICENSE.txt").read_text()


def test_an_installed_package_has_every_file_that_the_page_needs() -> None:
    stated = (Path(__file__).parents[3] / "setup.py").read_text()
    patterns = re.search(r'"profiler\.report\.html": \[(.*?)\]', stated, re.S)
    assert patterns is not None
    found = {file for pattern in re.findall(r'"([^"]+)"', patterns[1]) for file in FOLDER.glob(pattern)}
    wanted = {f for f in FOLDER.rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")}
    assert wanted <= found
