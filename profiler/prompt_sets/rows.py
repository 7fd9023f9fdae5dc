"""Rows of a table file: CSV, JSON Lines, JSON (a list of objects), Parquet. Text stays as it is, however hostile."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from profiler.errors import UserError

Row = Mapping[str, Any]
Rows = Iterator[tuple[str, Row]]


def read_rows(path: Path, where: str) -> Rows:
    """Each row with its place ("file.jsonl:3", "file.csv row 3"), in order. `where` names the scenario's key.

    Raises:
        UserError: the file is not there, not of a known kind, or not what its name says.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{where}: cannot read prompt file {path}: its name must end in {', '.join(_READERS)}")
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: cannot read prompt file {path}: not UTF-8 ({error.reason}): convert it") from error
    except (csv.Error, pa.ArrowException) as error:
        what = " ".join(str(error).split())[:160]
        raise UserError(f"{where}: cannot read prompt file {path}: damaged ({what}): get it again") from error
    except OSError as error:
        raise UserError(f"{where}: cannot read prompt file {path}: {error.strerror or error}") from error


def _json_lines(path: Path) -> Rows:
    # Only \n ends a line: U+2028 and its like are part of the text.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                place = f"{path}:{number}"
                yield place, _object(_decoded(line, place), place)


def _json(path: Path) -> Rows:
    found = _decoded(path.read_text(encoding="utf-8-sig"), str(path))
    if not isinstance(found, list):
        raise UserError(f"{path}: needs a JSON list of objects, one a prompt")
    for number, row in enumerate(found, 1):
        place = f"{path} row {number}"
        yield place, _object(row, place)


def _decoded(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{place}: not valid JSON ({error}): correct it") from error


def _object(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        raise UserError(f"{place}: needs a JSON object, one a prompt")
    return row


def _csv(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file, _fields_of_any_length():
        for number, row in enumerate(csv.DictReader(file), 1):
            place = f"{path} row {number}"
            if None in row:
                raise UserError(f"{place}: more cells than the header names: put text with commas in quotes")
            yield place, row


@contextmanager
def _fields_of_any_length() -> Iterator[None]:
    """The csv module refuses fields of more than 128 KiB unless told otherwise, for the whole process."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _parquet(path: Path) -> Rows:
    with pq.ParquetFile(path) as file:
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{path} row {number}", row


_READERS: dict[str, Callable[[Path], Rows]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}
