"""Single requests on their own time line: the engine's calls, the guards' stages over them, what the user got when."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from profiler.analysis.columns import ints
from profiler.analysis.metrics import TrialMetrics, failed
from profiler.analysis.run_figures import steady_trials
from profiler.analysis.stats import quantile
from profiler.analysis.tax import RunResult
from profiler.records.record import Outcome
from profiler.records.store import DamagedTrial, StoredTrial, TrialFile

_CALL = ("sent_ns", "first_ns", "ended_ns", "aborted", "output_tokens", "chunk_ns.list.element")
_COLUMNS = (
    "index", "prompt_id", "label", "scheduled_ns", "sent_ns", "first_ns", "last_ns", "output_tokens", "outcome",
    "finish_reason", "chunk_ns", "spans", "verdicts.list.element.guard", "verdicts.list.element.at_ns",
    "verdicts.list.element.verdict.action", *(f"engine_calls.list.element.{name}" for name in _CALL),
)  # fmt: skip
_MOST_BARS = 150
_MOST_TICKS = 120
ENGINE, USER = "engine", "user"


@dataclass(frozen=True)
class Bar:
    """A stretch of time, ms from the scheduled arrival. `lane` is the engine or a guard, `what` the stage."""

    lane: str
    what: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True)
class Tick:
    """A moment: a piece that left the engine, or one that reached the user; or a guard's verdict, `what` it was."""

    lane: str
    what: str
    at_ms: float


@dataclass(frozen=True)
class RequestLine:
    """One request of an arm; `which` it is: "median", "p99", "blocked". `left_out`: shortest bars that are not here."""

    arm: str
    which: str
    prompt_id: str
    label: str
    outcome: str
    e2el_ms: float
    first_ms: float
    output_tokens: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    left_out: int


@dataclass(frozen=True)
class _Place:
    """The `place`-th of the answered requests of a trial; None: the median of those that were blocked."""

    which: str
    trial: TrialMetrics
    place: int | None


def request_lines(result: RunResult) -> tuple[RequestLine, ...]:
    """Of every arm the requests with the median E2EL, with the p99, and a blocked one: of one trial, its median."""
    sources = {(s.info.arm, s.info.block, s.info.replicate): s for s in result.run.sources}
    found = []
    for arm in result.arms:
        for place in _places(steady_trials(result, arm)):
            source = sources.get((arm, place.trial.block, place.trial.replicate))
            if source is not None and (line := _line(source, place)) is not None:
                found.append(line)
    return tuple(found)


def _places(trials: Sequence[TrialMetrics]) -> Iterator[_Place]:
    e2el = [trial.latency_ms["e2el_ms"] for trial in trials]
    pooled = np.concatenate(e2el) if e2el else np.empty(0)
    if not len(pooled):
        return
    ends = np.cumsum([len(values) for values in e2el])
    for which, q in (("median", 0.5), ("p99", 0.99)):
        at = int(np.argmin(np.abs(pooled - quantile(pooled, q))))
        trial = int(np.searchsorted(ends, at, side="right"))
        yield _Place(which, trials[trial], at - int(ends[trial]) + len(e2el[trial]))
    most = max(trials, key=lambda trial: trial.outcomes[Outcome.BLOCKED.value])
    if most.outcomes[Outcome.BLOCKED.value]:
        yield _Place("blocked", most, None)


def _line(source: StoredTrial | TrialFile, place: _Place) -> RequestLine | None:
    try:
        trial = source.load(_COLUMNS, samples=False)
    except DamagedTrial:  # the report names it
        return None
    rows = np.flatnonzero((ints(trial.table, "first_ns") > 0) & ~failed(trial.table))
    if place.place is None:
        blocked = np.asarray(trial.table["outcome"].to_numpy() == Outcome.BLOCKED.value)
        rows = rows[blocked[rows]]
        e2el = (ints(trial.table, "last_ns") - ints(trial.table, "scheduled_ns"))[rows]
        rows = rows[np.argsort(e2el, kind="stable")]
    at = len(rows) // 2 if place.place is None else place.place
    if at >= len(rows):
        return None
    return _of(place, trial.table.slice(int(rows[at]), 1).to_pylist()[0])


def _of(place: _Place, row: Mapping[str, Any]) -> RequestLine:
    zero = row["scheduled_ns"]
    calls = row["engine_calls"] or ()
    bars = [
        *_calls(calls, zero),
        *(_bar(_lane(span["guard"]), span["stage"], span, zero) for span in row["spans"] or ()),
    ]
    kept = sorted(bars, key=lambda bar: bar.start_ms - bar.end_ms)[:_MOST_BARS]
    return RequestLine(
        arm=place.trial.arm,
        which=place.which,
        prompt_id=str(row["prompt_id"]),
        label=str(row["label"]),
        outcome=str(row["outcome"]),
        e2el_ms=(row["last_ns"] - zero) / 1e6,
        first_ms=(row["first_ns"] - zero) / 1e6,
        output_tokens=int(row["output_tokens"]),
        bars=tuple(sorted(kept, key=lambda bar: (bar.start_ms, bar.end_ms))),
        ticks=(
            *_ticks(ENGINE, [ns for call in calls for ns in call.get("chunk_ns") or ()], zero),
            *_ticks(USER, row["chunk_ns"] or (), zero),
            *(
                Tick(_lane(said["guard"]), said["verdict"]["action"], (said["at_ns"] - zero) / 1e6)
                for said in (row["verdicts"] or ())[:_MOST_TICKS]
            ),
        ),
        left_out=len(bars) - len(kept),
    )


def _lane(guard: str) -> str:
    """The guard's, also where it is called as another lane is."""
    return f"{guard} (guard)" if guard in (ENGINE, USER) else guard


def _calls(calls: Sequence[Mapping[str, Any]], zero: int) -> Iterator[Bar]:
    """Waiting for the first token and writing; a call that was aborted says so."""
    for call in calls:
        first = call["first_ns"] or call["ended_ns"]
        yield Bar(ENGINE, "first token", (call["sent_ns"] - zero) / 1e6, (first - zero) / 1e6)
        if first < call["ended_ns"]:
            what = "aborted" if call["aborted"] else "further tokens"
            yield Bar(ENGINE, what, (first - zero) / 1e6, (call["ended_ns"] - zero) / 1e6)


def _bar(lane: str, what: str, span: Mapping[str, Any], zero: int) -> Bar:
    return Bar(lane, what, (span["start_ns"] - zero) / 1e6, (span["end_ns"] - zero) / 1e6)


def _ticks(lane: str, times_ns: Sequence[int], zero: int) -> Iterator[Tick]:
    """At most so many that they can be told apart, the first and the last among them."""
    ordered = sorted(times_ns)
    if len(ordered) > _MOST_TICKS:
        ordered = [ordered[i] for i in np.linspace(0, len(ordered) - 1, _MOST_TICKS).round().astype(int)]
    return (Tick(lane, "piece", (ns - zero) / 1e6) for ns in ordered)
