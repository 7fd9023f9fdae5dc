"""A browser, and a page of each kind of run, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.cli import main
from tests.browser.browser import CHROMIUM, NO_BROWSER, chromium
from tests.browser.runs import full_run, hostile_run, sized_runs
from tests.gate.stored import stored_run

RUNS = {
    "full": full_run,
    "hostile": hostile_run,
    "invalid": lambda folder: stored_run(folder / "i", {"none": 100.0, "x": 120.0}, fail=8),
    "no guards": lambda folder: stored_run(folder / "b", {"none": 100.0}),
    "nothing measured": lambda folder: stored_run(folder / "n", {"none": 1.0, "x": 1.0}, blocks=1, requests=1),
}

PAGES = (*RUNS, "sizes")
"""Every kind of page: of a run, and of several at different sizes of model, with hostile names too."""


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A module's own: while Playwright runs, its event loop is the thread's, and no other test can have one."""
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages that `report` wrote beside the runs."""
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for name, make in RUNS.items():
        run = make(folder)
        assert main(["report", str(run)]) == 0
        found[name] = run / "report.html"
    sizes = sized_runs(folder)
    found["sizes"] = folder / "sizes.html"
    assert main(["report", *map(str, sizes), "--html", str(found["sizes"])]) == 0
    return found
