r"""`--json-progress`: one JSON object a line on standard error; standard output is the result alone.

Every line has `event` and `at` (UTC, ISO 8601). A figure that was not measured is null. What libraries and child
processes complain of on standard error is no JSON: skip lines that do not begin with `{`.

run_started     run, scenario, model, arms, blocks, trials (null under `until`), requests_per_trial, finished_trials,
                until, not_measured (why, by meter)
trial_started   trial, block (both from 0), arm, replicate
trial_finished  the same, and requests, outcomes, seconds, output_tokens_per_s, ttft_ms, tpot_ms and e2el_ms (mean,
                p50), watts (by gpu, cpu), peak_memory_mib, guards (checks by guard and answer since the run began),
                seconds_left
interval        arm, metric, blocks, relative, ci95, half_width, goal: after each block, an arm's tax as it stands
probe_finished  of `saturate`, in place of the trials: round, arm, rate_hz (null: the closed loop), throughput_hz,
                requests that count, good_share, stopped and invalid (why, or empty)
note            text: a line that a person would have seen
warning         text: what limits or voids the result
run_finished    run, ending, complete, valid (null if there was nothing to judge)
error           text: the last line, of a command that could not be done: exit status 2
"""

import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console

from profiler.analysis.metrics import LATENCIES, TrialMetrics
from profiler.analysis.stats import quantile
from profiler.plan import PlannedTrial
from profiler.records.record import RequestRecord
from profiler.records.store import StoredTrial, TrialFile
from profiler.report.live.outline import Outline
from profiler.report.live.state import RunState, watts


class EventConsole(Console):
    """A console whose lines become `note` events; what a program reads and a person would not is `emit`ted."""

    def __init__(self, stream: TextIO) -> None:
        """Onto a stream, each line flushed."""
        super().__init__(file=_Notes(self), force_terminal=False, color_system=None, width=10_000)  # type: ignore[arg-type]
        self._stream = stream

    def emit(self, event: str, **values: Any) -> None:
        """Write one event; what JSON has no number for becomes null."""
        said = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}
        print(json.dumps(_finite(said)), file=self._stream, flush=True)


class _Notes:
    """A file whose lines are notes."""

    def __init__(self, events: EventConsole) -> None:
        self._events, self._rest = events, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._events.emit("note", text=line.strip())
        return len(text)

    def flush(self) -> None:
        """Every line has been."""


class Events:
    """Tells a program how a run goes."""

    def __init__(self, events: EventConsole, outline: Outline) -> None:
        """Of a run."""
        self._events, self._outline, self._state = events, outline, RunState(outline)

    def __enter__(self) -> Self:
        """The run begins."""
        outline = self._outline
        self._events.emit(
            "run_started",
            run=str(outline.run),
            scenario=outline.name,
            model=outline.model,
            arms=list(outline.arms),
            blocks=outline.blocks,
            trials=outline.trials,
            requests_per_trial=outline.requests_per_trial,
            finished_trials=outline.before,
            until=None if outline.until is None else outline.until.model_dump(),
            not_measured=dict(outline.not_measured),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """`run_finished` comes with the result."""

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        """A trial is there from before."""
        self._state.learn(source)

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial begins."""
        self._state.trial_started(planned, time.monotonic_ns())
        self._events.emit("trial_started", **_which(planned))

    def request_done(self, record: RequestRecord) -> None:
        """A request has ended: not an event, there may be thousands a second."""
        self._state.request_done(record)

    def trial_stored(self, trial: StoredTrial) -> None:
        """A trial is on disk."""
        planned = self._state.trial.planned if self._state.trial is not None else None
        looks = [len(arm.widths) for arm in self._state.arms.values()]
        self._state.trial_ended(trial.info)
        found = self._state.learn(trial)
        info = trial.info
        which = _which(planned or PlannedTrial(info.index, info.block, info.arm, info.replicate))
        self._events.emit(
            "trial_finished",
            **which,
            **_figures(found),
            guards=_by_guard(self._state.verdicts),
            seconds_left=self._state.seconds_left(time.monotonic_ns()),
        )
        if looks != [len(arm.widths) for arm in self._state.arms.values()]:
            self._tell_intervals()

    def _tell_intervals(self) -> None:
        until = self._outline.until
        for arm, state in self._state.arms.items():
            if (found := state.standing) is not None:
                self._events.emit(
                    "interval",
                    arm=arm,
                    metric=self._outline.metric,
                    blocks=found.blocks,
                    relative=found.relative.estimate,
                    ci95=[found.relative.low, found.relative.high],
                    half_width=found.half_width,
                    goal=None if until is None else until.half_width,
                )


def _which(planned: PlannedTrial) -> dict[str, Any]:
    return {"trial": planned.index, "block": planned.block, "arm": planned.arm, "replicate": planned.replicate}


def _figures(found: TrialMetrics) -> dict[str, Any]:
    latency = {name: found.latency_ms[name] for name in LATENCIES}
    return {
        "requests": found.requests,
        "outcomes": dict(found.outcomes),
        "seconds": found.duration_s,
        "output_tokens_per_s": found.output_tokens / found.duration_s if found.duration_s > 0 else None,
        **{
            name: {"mean": float(ms.mean()), "p50": quantile(ms, 0.5)} if len(ms) else None
            for name, ms in latency.items()
        },
        "watts": watts(found) or None,
        "peak_memory_mib": found.peak_memory_mib,
    }


def _by_guard(verdicts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (guard, said), count in verdicts.items():
        found.setdefault(guard, {})[said] = count
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, Path) else value
