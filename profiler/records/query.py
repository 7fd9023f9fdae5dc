"""Requests of many stored trials at once, by DuckDB over the Parquet files where they lie: nothing is copied.

The database is in memory and can read the files that it was given and nothing else: no other path, no network, no
extension beyond those that are built in. Paths go in as parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profiler.records.record import UNFINISHED

if TYPE_CHECKING:
    import duckdb

Array = npt.NDArray[np.float64]
_LATENCIES = ("ttft_ms", "tpot_ms", "e2el_ms")
_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "temp_directory": "",
}
# What a latency is, and which requests have one, is `analysis.metrics`'s; `level` is `analysis.steady`'s.
_TRIALS = """
WITH requests AS (
    SELECT
        filename,
        output_tokens,
        (first_ns - scheduled_ns) / 1e6 AS ttft_ms,
        (last_ns - scheduled_ns) / 1e6 AS e2el_ms,
        (last_ns - first_ns) / 1e6 AS after_first_ms,
        output_tokens - coalesce(chunk_tokens[1], 1) AS tokens_later,
        first_ns > 0 AND outcome <> 'error' AS answered,
        CASE
            WHEN outcome <> 'error' AND finish_reason <> ALL ($unfinished) AND output_tokens > 0 AND last_ns > sent_ns
            THEN ln((last_ns - sent_ns) / output_tokens)
        END AS log_ns_per_token
    FROM read_parquet($files, filename = true, union_by_name = true, hive_partitioning = false)
)
SELECT
    filename,
    count(*) AS requests,
    sum(output_tokens)::BIGINT AS output_tokens,
    coalesce(list(ttft_ms) FILTER (answered), []) AS ttft_ms,
    coalesce(list(e2el_ms) FILTER (answered), []) AS e2el_ms,
    coalesce(
        list(after_first_ms / tokens_later) FILTER (answered AND tokens_later > 0 AND after_first_ms > 0), []
    ) AS tpot_ms,
    median(log_ns_per_token) AS level
FROM requests
GROUP BY filename
"""


@dataclass(frozen=True)
class TrialRow:
    """One trial. `latency_ms` by "ttft_ms" and the like: (answered requests,); `level` as `TrialLevel` has it."""

    requests: int
    output_tokens: int
    latency_ms: Mapping[str, Array]
    level: float | None


class DamagedFiles(Exception):
    """One of the files cannot be read; the message says what DuckDB said of it."""


@contextmanager
def reading(files: Sequence[str]) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A database that can read these files and nothing else, and whose settings cannot be changed any more."""
    import duckdb  # here: it takes a tenth of a second and the memory of a library, which no run is to pay

    allowed = [*files, *map(_pattern, files)]  # DuckDB asks for both

    with duckdb.connect(":memory:", config=dict(_SETTINGS)) as database:
        database.execute("SET allowed_paths = $files", {"files": allowed})
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        yield database


def trial_rows(files: Sequence[Path]) -> dict[Path, TrialRow]:
    """What a history needs of each of these trials.

    Raises:
        DamagedFiles: one of them cannot be read; which of them is not said.
    """
    import duckdb

    by_name = {str(path.resolve()): path for path in files}
    if not by_name:
        return {}
    asked = {"files": [_pattern(name) for name in by_name], "unfinished": list(UNFINISHED)}
    try:
        with reading(list(by_name)) as database:
            table = database.sql(_TRIALS, params=asked).to_arrow_table()
    except duckdb.Error as error:
        raise DamagedFiles(" ".join(str(error).split())[:200]) from error
    names = table["filename"].to_pylist()
    return {by_name[name]: _row(table, place) for place, name in enumerate(names)}


def _pattern(name: str) -> str:
    """The pattern that only this name fits: a folder may be called `x*`."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _row(table: pa.Table, place: int) -> TrialRow:
    level = table["level"][place].as_py()
    return TrialRow(
        int(table["requests"][place].as_py()),
        int(table["output_tokens"][place].as_py() or 0),
        {name: table[name][place].values.to_numpy(zero_copy_only=False) for name in _LATENCIES},
        None if level is None else float(level),
    )
