"""What the guards of a trial thought of each request: their scores and decisions, from the stored verdicts."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from guards.verdict import Action, Status
from profiler.analysis.columns import Bools, Ints, coded, flat, ints
from profiler.records.record import Outcome

Floats = npt.NDArray[np.float64]
COLUMNS = (
    "outcome",
    "finish_reason",
    "chosen_candidate",
    *(f"verdicts.list.element.{name}" for name in ("guard", "verdict.action", "verdict.p_unsafe", "verdict.status")),
)
"""The columns that `opinions_of` reads."""
_UNSAFE = (Action.BLOCK.value, Action.FLAG.value)
_BY_A_GUARD = ("blocked", "cut", "refused")


@dataclass(frozen=True)
class Opinion:
    """One guard's. `score` (requests,) is its greatest p(unsafe), NaN where it gave none; `unsafe`: it said so."""

    score: Floats
    unsafe: Bools


@dataclass(frozen=True)
class Opinions:
    """All guards'. `failed` requests went wrong or had a check without a verdict; `blocked` ones got a guard's answer.

    `judged`: at least one guard judged the request.
    """

    by_guard: dict[str, Opinion]
    failed: Bools
    blocked: Bools
    judged: Bools

    @property
    def score(self) -> Floats:
        """The greatest of any guard's, NaN where none gave one."""
        found = np.full(len(self.failed), np.nan)
        for opinion in self.by_guard.values():
            found = np.fmax(found, opinion.score)
        return found

    @property
    def unsafe(self) -> Bools:
        """Whether the request was blocked, or a guard said that it should be."""
        found = self.blocked.copy()
        for opinion in self.by_guard.values():
            found |= opinion.unsafe
        return found


def opinions_of(table: pa.Table, rerankers: Collection[str] = ()) -> Opinions:
    """Read the verdicts of a trial.

    A reranker judges candidates: its score is the chosen one's, or the least where none may be shown, and it has said
    "unsafe" where it refused. Its judgement of the prompt (`<name>.harm`) decides nothing alone and is left out.
    """
    rows, values = flat(table["verdicts"])
    verdicts = values.field("verdict")
    guard, names = coded(values.field("guard"))
    ok = _is(verdicts.field("status"), Status.OK.value)
    p = np.asarray(pc.fill_null(verdicts.field("p_unsafe"), np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    said = _is(verdicts.field("action"), *_UNSAFE)
    outcome = table["outcome"].cast(pa.string())
    failed = _is(outcome, Outcome.ERROR.value)
    failed[rows[~ok]] = True
    reason = table["finish_reason"].cast(pa.string())
    blocked = (_is(reason, *_BY_A_GUARD) | _is(outcome, Outcome.BLOCKED.value)) & ~failed
    judged = np.zeros(len(failed), dtype=np.bool_)
    judged[rows[ok]] = True
    found: dict[str, Opinion] = {}
    for code, name in enumerate(names):
        mine = guard == code
        if name in rerankers:
            found[name] = _of_candidates(table, rows[mine], p[mine], ok[mine], blocked & ~_is(reason, "cut"))
        elif name not in _harms(rerankers):
            found[name] = _of_texts(len(failed), rows[mine], p[mine], ok[mine], said[mine])
    return Opinions(found, failed, blocked, judged)


def _harms(rerankers: Collection[str]) -> Iterator[str]:
    return (f"{name}.harm" for name in rerankers)


def _of_texts(n: int, rows: Ints, p: Floats, ok: Bools, said: Bools) -> Opinion:
    score, unsafe = np.full(n, np.nan), np.zeros(n, dtype=np.bool_)
    np.fmax.at(score, rows[ok], p[ok])
    unsafe[rows[ok & said]] = True
    return Opinion(score, unsafe)


def _of_candidates(table: pa.Table, rows: Ints, p: Floats, ok: Bools, blocked: Bools) -> Opinion:
    n = len(blocked)
    score, least = np.full(n, np.nan), np.full(n, np.nan)
    np.fmin.at(least, rows[ok], p[ok])
    refused = blocked & np.isfinite(least)
    if "chosen_candidate" in table.column_names:
        # A request's candidates are in order, and its verdicts lie side by side.
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        chosen = (place == ints(table, "chosen_candidate")[rows]) & ok
        score[rows[chosen]] = p[chosen]
    score[refused] = least[refused]
    return Opinion(score, refused)


def _is(column: pa.ChunkedArray | pa.Array, *values: str) -> Bools:
    found = pc.fill_null(pc.is_in(column, value_set=pa.array(values, pa.string())), False)
    return np.array(found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy(), np.bool_)
