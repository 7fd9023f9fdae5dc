"""The page as a file: beside the run it is of, or where the reader wants it."""

from pathlib import Path

from rich.console import Console

from profiler.analysis.tax import RunResult
from profiler.errors import UserError
from profiler.records.durable import put_bytes
from profiler.report.html.page import page_of
from profiler.report.text import plain

NAME = "report.html"


def write_page(result: RunResult, harmful: float | None, file: Path) -> None:
    """Write the page.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        put_bytes(file, page_of(result, harmful).encode("utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror or error}): name another with --html") from error


def put_page(result: RunResult, harmful: float | None, console: Console) -> None:
    """Write the page into the run's folder and say where; a folder that cannot be written to costs one line."""
    file = result.run.path / NAME
    try:
        write_page(result, harmful, file)
    except UserError as error:
        console.print(f"No page: {plain(error)}", highlight=False, soft_wrap=True)
    else:
        print_page(file, console)


def print_page(file: Path, console: Console) -> None:
    """Say where the page lies."""
    console.print(f"Page: {plain(file)}", highlight=False, soft_wrap=True)
