"""Recorded traffic as CSV: when requests arrived, and how long their prompts and answers were."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TextIO

from profiler.errors import UserError

# Lower case, letters only: Azure's, vLLM's, BurstGPT's and Vidur's names among them.
_TIMESTAMP = ("timestamp", "timestamps", "time", "arrivedat", "arrivaltime", "starttime")
_PROMPT = ("contexttokens", "prompttokens", "inputtokens", "requesttokens", "numprefilltokens",
           "promptlen", "inputlen", "inputlength")  # fmt: skip
_OUTPUT = ("generatedtokens", "outputtokens", "completiontokens", "responsetokens", "numdecodetokens",
           "outputlen", "outputlength")  # fmt: skip
_SECONDS = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")
_COUNT = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One recorded request: ns after the first one, and its length in tokens."""

    offset_ns: int
    prompt_tokens: int
    output_tokens: int


def trace_replay(path: Path, time_scale: float = 1.0, limit: int | None = None) -> tuple[TraceRow, ...]:
    """Read a trace whose columns are a timestamp, prompt tokens and output tokens.

    Azure's layout (`TIMESTAMP,ContextTokens,GeneratedTokens`; Patel et al., Splitwise, ISCA 2024) and the
    usual other names in any order; timestamps as seconds or as date and time.

    Args:
        path: the CSV file, with a header.
        time_scale: what the time between requests is multiplied by: 0.5 is twice as fast.
        limit: take the first `limit` rows only.

    Raises:
        UserError: the file, a column or a value is no good; names file, line and cure.
        ValueError: `time_scale` is not positive and finite, or `limit` is below 1.
    """
    if not 0 < time_scale < float("inf"):
        raise ValueError(f"time_scale must be positive and finite, is {time_scale}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, is {limit}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = tuple(islice(_rows(path, file), limit))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): give the path of a trace") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error}): save it as one") from error
    if not rows:
        raise UserError(f"{path}: no requests below the header: give a trace with at least one")
    return tuple(_scaled(row, rows[0].offset_ns, time_scale) for row in rows)


def _scaled(row: TraceRow, first_ns: int, time_scale: float) -> TraceRow:
    return TraceRow(round((row.offset_ns - first_ns) * time_scale), row.prompt_tokens, row.output_tokens)


def _rows(path: Path, file: TextIO) -> Iterator[TraceRow]:
    """Rows with absolute times, checked to be in order."""
    lines = csv.reader(file)
    columns = _columns(path, next(lines, []))
    before_ns: int | None = None
    for fields in lines:
        if not fields:
            continue
        where = f"{path}:{lines.line_num}"
        row = _row(where, fields, columns)
        if before_ns is not None and row.offset_ns < before_ns:
            raise UserError(f"{where}: earlier than the line before: sort the file by its timestamps")
        before_ns = row.offset_ns
        yield row


def _columns(path: Path, header: Sequence[str]) -> tuple[int, int, int]:
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in header]
    return (
        _column(path, header, plain, _TIMESTAMP, "timestamp"),
        _column(path, header, plain, _PROMPT, "prompt_tokens"),
        _column(path, header, plain, _OUTPUT, "output_tokens"),
    )


def _column(path: Path, header: Sequence[str], plain: Sequence[str], names: Sequence[str], cure: str) -> int:
    found = [position for position, name in enumerate(plain) if name in names]
    if len(found) == 1:
        return found[0]
    problem = "no column" if not found else "more than one column"
    raise UserError(f"{path}:1: {problem} for {cure!r} in {','.join(header)!r}: name exactly one {cure!r}")


def _row(where: str, fields: Sequence[str], columns: tuple[int, int, int]) -> TraceRow:
    if len(fields) <= max(columns):
        raise UserError(f"{where}: only {len(fields)} fields: give as many as the header has")
    timestamp, prompt, output = (fields[column].strip() for column in columns)
    return TraceRow(_time_ns(where, timestamp), _count(where, prompt, 1), _count(where, output, 0))


def _time_ns(where: str, text: str) -> int:
    if _SECONDS.fullmatch(text):
        return int((Decimal(text) * 10**9).to_integral_value())
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise UserError(f"{where}: {text!r} is no time: write seconds, or 2023-11-16 18:15:46.68")
    base, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(base + (zone or ""))
    except ValueError as error:
        raise UserError(f"{where}: {text!r} is no time ({error}): correct it") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 + int((fraction or "0").ljust(9, "0"))


def _count(where: str, text: str, least: int) -> int:
    if not _COUNT.fullmatch(text) or int(text) < least:
        raise UserError(f"{where}: {text!r} is no number of tokens: write a whole number from {least} up")
    return int(text)
