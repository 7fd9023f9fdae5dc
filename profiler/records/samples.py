"""The samples of one window: kept as one Parquet file beside the trial, so that every figure can be made again."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from profiler.records.durable import Fingerprint, put
from profiler.records.parquet import write_parquet

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SUFFIX = ".samples.parquet"
IDLE = f"idle{SUFFIX}"
_META = b"alignment_tax.samples"


class DamagedSamples(Exception):
    """A file of samples that cannot be read; the message names it, and why."""


@dataclass(frozen=True)
class Series:
    """One quantity over a window: `t_ns` (monotonic ns) and `value`, both (samples,), in the order of time."""

    t_ns: Ints
    value: Floats

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return float(self.t_ns[-1] - self.t_ns[0]) / 1e9 if len(self.t_ns) > 1 else 0.0


NOTHING = Series(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Samples:
    """All samples of a window. `key` (samples,) indexes `keys`, the pairs of source and quantity.

    `facts` is what the meters say of themselves: devices, processes and their roles, what was lost.
    """

    facts: dict[str, Any]
    keys: tuple[tuple[str, str], ...]
    key: Ints
    t_ns: Ints
    value: Floats

    @cached_property
    def _series(self) -> dict[tuple[str, str], Series]:
        order = np.argsort(self.key, kind="stable")
        ends = np.searchsorted(self.key[order], np.arange(len(self.keys) + 1))
        parts = (order[begin:end] for begin, end in zip(ends[:-1], ends[1:], strict=True))
        return {key: Series(self.t_ns[at], self.value[at]) for key, at in zip(self.keys, parts, strict=True)}

    def series(self, source: str, name: str) -> Series:
        """One quantity's samples; empty where it was not measured."""
        return self._series.get((source, name), NOTHING)

    def named(self, source: str, prefix: str) -> dict[str, Series]:
        """A source's quantities whose names begin so, by the rest of the name."""
        found = {name: s for (of, name), s in self._series.items() if of == source and name.startswith(prefix)}
        return {name.removeprefix(prefix): series for name, series in found.items()}


def write_samples(path: Path, samples: Samples) -> Fingerprint:
    """Store a window's samples, renamed into place; the file's fingerprint.

    Raises:
        OSError: the disk is full or not writable.
    """
    sources, names = ([key[part] for key in samples.keys] for part in (0, 1))
    index = pa.array(samples.key, pa.int32())
    table = pa.table(
        {
            "t_ns": pa.array(samples.t_ns, pa.int64()),
            "source": pa.DictionaryArray.from_arrays(index, pa.array(sources, pa.string())),
            "name": pa.DictionaryArray.from_arrays(index, pa.array(names, pa.string())),
            "value": pa.array(samples.value, pa.float64()),
        }
    ).replace_schema_metadata({_META: json.dumps(samples.facts).encode()})
    return put(path, lambda scratch: write_parquet(scratch, table))


def read_samples(path: Path) -> Samples | None:
    """A window's samples; None where none were kept.

    Raises:
        DamagedSamples: the file is there and cannot be read.
    """
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        facts = json.loads((table.schema.metadata or {})[_META])
        keys, key = _keys(table)
        t_ns, value = (table[name].to_numpy() for name in ("t_ns", "value"))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedSamples(f"{path.name}: {' '.join(str(error).split())[:160]}") from error
    return Samples(facts, keys, key, np.asarray(t_ns, np.int64), np.asarray(value, np.float64))


def _keys(table: pa.Table) -> tuple[tuple[tuple[str, str], ...], Ints]:
    """The pairs of source and name in the order in which they come first, and which of them each row has."""
    (sources, source), (names, name) = (_coded(table[column]) for column in ("source", "name"))
    _, first, row = np.unique(source * len(names) + name, return_index=True, return_inverse=True)
    order = np.argsort(first)
    keys = tuple((sources[source[at]], names[name[at]]) for at in first[order])
    return keys, np.argsort(order)[row]


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """The texts of a column, each once, and which of them each row has."""
    coded = column.cast(pa.string()).dictionary_encode().combine_chunks()
    return coded.dictionary.to_pylist(), np.asarray(coded.indices.to_numpy(), np.int64)


def beside(trial: Path) -> Path:
    """Where the samples of a trial's file lie: `0007.parquet` has `0007.samples.parquet`."""
    return trial.with_name(trial.stem + SUFFIX)
