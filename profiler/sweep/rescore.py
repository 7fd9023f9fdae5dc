"""A trial as it would have been at stricter thresholds, told from the probabilities that it stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from guards.verdict import Status
from profiler.records.record import Outcome
from profiler.records.store import StoredTrial

CHANGED = ("first_ns", "last_ns", "output_tokens", "finish_reason", "outcome", "chunk_ns", "chunk_tokens")
"""The columns that another threshold changes."""


@dataclass(frozen=True)
class Stops:
    """How a guard stops a request: before an answer ("blocked") or within it ("cut"), from `threshold` up."""

    threshold: float
    finish: str


def rescored(trial: StoredTrial, guards: Mapping[str, Stops]) -> StoredTrial:
    """The trial's requests with each stopped at the first check whose p(unsafe) reaches its guard's new threshold.

    Thresholds must not be looser than the trial's own: what a looser one would have let through was never generated.
    A request that is stopped ends when that check's verdict came, with what had been delivered by then. What its
    earlier end would have spared the other requests is not told; the trial's duration is left as it was.
    """
    columns = {name: trial.table[name].to_pylist() for name in (*CHANGED, "verdicts")}
    for row, verdicts in enumerate(columns["verdicts"]):
        if (stop := _first(verdicts, guards)) is not None:
            _end(columns, row, *stop)
    table = trial.table
    for name in CHANGED:
        values = pa.array(columns[name], type=_plain(table.schema.field(name).type)).cast(table.schema.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    return StoredTrial(trial.info, table)


def _first(verdicts: list[dict[str, Any]], guards: Mapping[str, Stops]) -> tuple[int, str] | None:
    """When the first check stops the request, and how; None where none does."""
    found = [
        (given["at_ns"], guards[given["guard"]].finish)
        for given in verdicts
        if given["guard"] in guards and _stops(given["verdict"], guards[given["guard"]].threshold)
    ]
    return min(found, default=None)


def _stops(verdict: dict[str, Any], threshold: float) -> bool:
    p = verdict["p_unsafe"]
    return verdict["status"] == Status.OK and p is not None and p >= threshold


def _end(columns: dict[str, list[Any]], row: int, at_ns: int, finish: str) -> None:
    """The request gets what was delivered before, and the guard's last word then."""
    before = [
        (chunk_ns, tokens)
        for chunk_ns, tokens in zip(columns["chunk_ns"][row], columns["chunk_tokens"][row], strict=True)
        if chunk_ns < at_ns and finish != "blocked"
    ]
    times, tokens = [*(ns for ns, _ in before), at_ns], [*(n for _, n in before), 0]
    columns["chunk_ns"][row], columns["chunk_tokens"][row] = times, tokens
    columns["first_ns"][row], columns["last_ns"][row] = times[0], at_ns
    columns["output_tokens"][row] = sum(tokens)
    columns["finish_reason"][row], columns["outcome"][row] = finish, Outcome.BLOCKED.value


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
