"""The page as a file: beside the run it is of, or where the reader wants it."""

from pathlib import Path

from rich.console import Console

from profiler.errors import UserError
from profiler.records.durable import put_bytes
from profiler.report.text import plain

NAME = "report.html"


def put_page(page: str, run: Path, asked: Path | None, console: Console) -> None:
    """Write the page into the folder of the run, or where it was asked for, and say where.

    A run's folder that cannot be written to costs one line.

    Raises:
        UserError: the file that was asked for cannot be written.
    """
    file = run / NAME if asked is None else asked
    try:
        put_bytes(file, page.encode("utf-8"))
    except OSError as error:
        said = f"{file}: cannot be written ({error.strerror or error}): name another with --html"
        if asked is not None:
            raise UserError(said) from error
        console.print(f"No page: {plain(said)}", highlight=False, soft_wrap=True)
    else:
        console.print(f"Page: {plain(file)}", highlight=False, soft_wrap=True)
