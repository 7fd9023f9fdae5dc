"""The page as a file: beside the run it is of, or where the reader wants it."""

import os
import sys
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
        if asked is None:
            put_bytes(file, page.encode("utf-8"))
        else:
            _put(asked, page)
    except OSError as error:
        said = f"{file}: cannot be written ({error.strerror or error}): name another with --html"
        if asked is not None:
            raise UserError(said) from error
        console.print(f"No page: {plain(said)}", highlight=False, soft_wrap=True)
    else:
        console.print(f"Page: {plain(file)}", highlight=False, soft_wrap=True)


def print_page(page: str) -> None:
    """To standard output, in the encoding that the page states, whatever the locale's."""
    sys.stdout.flush()
    sys.stdout.buffer.write(page.encode("utf-8"))
    sys.stdout.buffer.flush()


def _put(asked: Path, page: str) -> None:
    """Replace the file that the name leads to; a pipe or a device is written to, and stays."""
    if _is_stdout(asked):
        print_page(page)
    elif asked.exists() and not asked.is_file():
        asked.write_bytes(page.encode("utf-8"))
    else:
        put_bytes(Path(os.path.realpath(asked)), page.encode("utf-8"))


def _is_stdout(asked: Path) -> bool:
    """Also where it goes to a file: that one must not be replaced while the tables are being written to it."""
    try:
        return os.path.samestat(asked.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # no such file yet, or no descriptor behind standard output
        return False
