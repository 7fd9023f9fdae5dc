"""How a trial's guard checks ended: by guard, how many were judged, failed, came too late or were not made."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from guards.verdict import Status

COLUMNS = ("verdicts.list.element.guard", "verdicts.list.element.verdict.status")
"""The columns that `guard_checks` reads."""
STATUSES = tuple(status.value for status in Status)
GuardChecks = Mapping[str, Mapping[str, int]]
"""Checks by guard and status; of a guard that gave a verdict every status is there."""


def guard_checks(table: pa.Table) -> GuardChecks:
    """Count the verdicts of a trial's requests."""
    verdicts = pc.list_flatten(table["verdicts"])
    columns = {
        "guard": pc.struct_field(verdicts, "guard"),
        "status": pc.struct_field(pc.struct_field(verdicts, "verdict"), "status"),
    }
    counted = pa.table(columns).group_by(["guard", "status"]).aggregate([([], "count_all")])
    found: dict[str, Counter[str]] = {}
    for guard, status, count in zip(*(counted[name].to_pylist() for name in counted.column_names), strict=True):
        found.setdefault(guard, Counter())[status] = count
    return _in_order(found)


def total(trials: Iterable[GuardChecks]) -> GuardChecks:
    """The counts of several trials together."""
    found: dict[str, Counter[str]] = {}
    for trial in trials:
        for guard, counts in trial.items():
            found.setdefault(guard, Counter()).update(counts)
    return _in_order(found)


def without_verdict(checks: GuardChecks) -> GuardChecks:
    """The guards of which some checks ended in anything but a judgement."""
    return {guard: counts for guard, counts in checks.items() if sum(counts.values()) > counts[Status.OK.value]}


def errors(checks: GuardChecks) -> int:
    """Checks that failed or came too late."""
    return sum(counts[Status.ERROR.value] + counts[Status.TIMEOUT.value] for counts in checks.values())


def _in_order(found: Mapping[str, Mapping[str, int]]) -> GuardChecks:
    return {guard: {status: found[guard].get(status, 0) for status in STATUSES} for guard in sorted(found)}
