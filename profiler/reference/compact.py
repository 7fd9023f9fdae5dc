"""A stored run made small enough to commit, and still a run: `alignment-tax report` reads it as any other.

results/reference/<gpu>/<part>/run.json, ending.json, trials/*.parquet   the raw run, recompressed
results/reference/<gpu>/<part>/report.txt, report.json                   what is said of it
"""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console

from profiler.analysis.tax import analyse
from profiler.records.store import read_run
from profiler.report.as_json import to_json
from profiler.report.more import more_json, print_more
from profiler.report.terminal import print_result

_WIDTH = 80
_LEVEL = 19


def compacted(run: Path, target: Path, root: Path) -> None:
    """Write the run, its report as text and as JSON, into `target`, whatever was there before.

    Paths under `root`, the checkout, become relative to it: another reader has no use for the rest.
    """
    scratch = target.with_name(f".{target.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    for file in sorted(run.rglob("*")):
        made = scratch / file.relative_to(run)
        if file.suffix == ".parquet":
            made.parent.mkdir(parents=True, exist_ok=True)
            _recompressed(file, made)
        elif file.suffix == ".json" and file.parent == run:
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(_without(file.read_text(encoding="utf-8"), root), encoding="utf-8")
    _reported(scratch, target, root)
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)


def mib(folder: Path) -> float:
    """What a folder takes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def _recompressed(file: Path, made: Path) -> None:
    """The same table: timestamps as differences, everything under zstd's slow levels."""
    table = pq.read_table(file)
    columns = _leaves(file)
    whole = [name for name, kind in columns.items() if kind in ("INT32", "INT64")]
    pq.write_table(
        table,
        made,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=[name for name in columns if name not in whole],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in whole},
        write_statistics=False,
    )


def _leaves(file: Path) -> dict[str, str]:
    """Each leaf column's path and physical type."""
    schema = pq.read_metadata(file).schema
    return {column.path: column.physical_type for column in map(schema.column, range(len(schema)))}


def _without(text: str, root: Path) -> str:
    return text.replace(f"{root}/", "")


def _reported(run: Path, target: Path, root: Path) -> None:
    stored = read_run(run)
    if not stored.sources:
        return
    result = analyse(stored)
    document: dict[str, Any] = to_json(result) | more_json(result, None)
    document["run"]["path"] = _shown(target, root)
    text = json.dumps(document, indent=1)
    (run / "report.json").write_text(_without(text, root), encoding="utf-8")
    said = io.StringIO()
    console = Console(file=said, width=_WIDTH, force_terminal=False)
    print_result(result, console)
    print_more(result, None, console)
    (run / "report.txt").write_text(_without(said.getvalue(), root), encoding="utf-8")


def _shown(path: Path, root: Path) -> str:
    whole = path.resolve()
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else path.name
