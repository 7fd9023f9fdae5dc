"""A trial's stored table as flat numpy arrays: requests, the engine's calls, their chunks, the guards' spans."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from profiler.records.store import StoredTrial

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Calls:
    """Engine calls, shape (calls,): `request` is the row of the request. Chunks are flat, `call` their call."""

    request: Ints
    sent_ns: Ints
    first_ns: Ints
    last_ns: Ints
    ended_ns: Ints
    output_tokens: Ints
    candidates: Ints
    prompt_tokens: Ints
    aborted: Bools
    chunk_call: Ints
    chunk_ns: Ints
    chunk_tokens: Ints


@dataclass(frozen=True)
class Spans:
    """Stage spans, shape (spans,). `guard` and `stage` index the names in `guards` and `stages`."""

    request: Ints
    start_ns: Ints
    end_ns: Ints
    critical: Bools
    guard: Ints
    stage: Ints
    guards: tuple[str, ...]
    stages: tuple[str, ...]

    def of_stage(self, *names: str) -> Bools:
        """Which spans are of these stages."""
        return np.isin(self.stage, [i for i, name in enumerate(self.stages) if name in names])


def ints(table: pa.Table, name: str) -> Ints:
    """One column of whole numbers."""
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def calls_of(trial: StoredTrial) -> Calls:
    """The trial's engine calls and their chunks."""
    rows, values = flat(trial.table["engine_calls"])
    chunk_call, chunk_ns = flat(values.field("chunk_ns"))
    _, chunk_tokens = flat(values.field("chunk_tokens"))

    def number(name: str) -> Ints:
        if values.type.get_field_index(name) < 0:  # the first runs of schema 1 have no prompt lengths, no candidates
            return np.zeros(len(values), dtype=np.int64)
        return np.asarray(pc.fill_null(values.field(name), 0).to_numpy(zero_copy_only=False), dtype=np.int64)

    return Calls(
        request=rows,
        sent_ns=number("sent_ns"),
        first_ns=number("first_ns"),
        last_ns=number("last_ns"),
        ended_ns=number("ended_ns"),
        output_tokens=number("output_tokens"),
        candidates=np.maximum(number("candidates"), 1),
        prompt_tokens=number("prompt_tokens"),
        aborted=np.asarray(values.field("aborted").to_numpy(zero_copy_only=False), dtype=np.bool_),
        chunk_call=chunk_call,
        chunk_ns=np.asarray(chunk_ns.to_numpy(zero_copy_only=False), dtype=np.int64),
        chunk_tokens=np.asarray(chunk_tokens.to_numpy(zero_copy_only=False), dtype=np.int64),
    )


def spans_of(trial: StoredTrial) -> Spans:
    """The trial's stage spans."""
    rows, values = flat(trial.table["spans"])
    guard, guards = coded(values.field("guard"))
    stage, stages = coded(values.field("stage"))
    return Spans(
        rows,
        np.asarray(values.field("start_ns").to_numpy(zero_copy_only=False), dtype=np.int64),
        np.asarray(values.field("end_ns").to_numpy(zero_copy_only=False), dtype=np.int64),
        np.asarray(values.field("critical").to_numpy(zero_copy_only=False), dtype=np.bool_),
        guard,
        stage,
        guards,
        stages,
    )


def flat(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, pa.Array]:
    """Parent row of each element, and the elements, of a list column."""
    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    return np.asarray(rows, dtype=np.int64), lists.flatten()


def coded(values: pa.ChunkedArray | pa.Array) -> tuple[Ints, tuple[str, ...]]:
    """Texts as indices of the distinct ones, and these."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], pa.string())
    found = whole if pa.types.is_dictionary(whole.type) else pc.dictionary_encode(whole)
    indices = np.asarray(found.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    return indices, tuple(found.dictionary.to_pylist())
