"""`alignment-tax report RUN RUN [RUN...]`: one scenario at several sizes of model."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from profiler.analysis.scale import SizedRun, scale
from profiler.analysis.tax import RunResult
from profiler.commands.stored import profiled
from profiler.engines.model_size import PARAMETERS
from profiler.errors import UserError
from profiler.report.html.scale_page import scale_page_of
from profiler.report.html.write import print_page, put_page
from profiler.report.markdown import MarkdownConsole
from profiler.report.scale import print_scale, scale_json

_SIZE = re.compile(r"([0-9]*\.?[0-9]+(?:E[0-9]+)?) ?([KMBT]?)")
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def show_scale(paths: Sequence[Path], sizes: Sequence[str], how: str, html: Path | None = None) -> int:
    """Print the tax against the size as `terminal`, `markdown`, `json` or `html`; a page goes to `html`.

    Raises:
        UserError: a run whose size nobody knows, a format that this has not, or a page that cannot be written.
    """
    if how not in ("terminal", "markdown", "json", "html"):
        raise UserError(f"--format {how}: of several runs there is terminal, markdown, json and html")
    if html is not None and how != "terminal":
        raise UserError(f"--html: goes with the terminal's tables: leave --format {how} out")
    stated = dict(_stated(text) for text in sizes)
    if unknown := [run for run in stated if run not in {name for path in paths for name in _names(path)}]:
        raise UserError(f"--size: {unknown[0]} is none of the runs: name one as it is given")
    found = scale([_sized(path, stated) for path in paths])
    if how == "json":
        print(json.dumps(scale_json(found), indent=2))
        return 0
    if how == "html":
        print_page(scale_page_of(found))
        return 0
    console = Console() if how == "terminal" else MarkdownConsole()
    print_scale(found, console)
    if isinstance(console, MarkdownConsole):
        print(console.page, end="")
    if html is not None:
        put_page(scale_page_of(found), html.parent, html, console)
    return 0


def _stated(text: str) -> tuple[str, float]:
    run, equals, size = text.rpartition("=")
    found = _SIZE.fullmatch(size.strip().upper())
    if not equals or not run or found is None:
        raise UserError(f"--size: `{text}` states no size: write RUN=1.2B")
    value = float(found[1]) * _UNITS[found[2]]
    if not 0 < value < math.inf:
        raise UserError(f"--size: `{text}`: a size is more than 0")
    return run, value


def _names(path: Path) -> tuple[str, str, str]:
    """By which a run may be named: as it was given, and by its folder."""
    return str(path), path.name, path.resolve().name


def _sized(path: Path, stated: Mapping[str, float]) -> SizedRun:
    result = profiled(path)
    given = next((stated[name] for name in _names(path) if name in stated), None)
    return SizedRun(result, given if given is not None else _recorded(path, result))


def _recorded(path: Path, result: RunResult) -> float:
    said = result.run.manifest["facts"].get(PARAMETERS)
    try:
        found = float(said)
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found < math.inf:
        raise UserError(f"{path}: does not say how many parameters its model has: give --size {path}=1.2B")
    return found
