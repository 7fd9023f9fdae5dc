"""The observer of `--json-progress`; `event_console` says what each event holds."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from profiler.analysis.metrics import LATENCIES, TrialMetrics
from profiler.analysis.stats import quantile
from profiler.plan import PlannedTrial
from profiler.records.record import RequestRecord
from profiler.records.store import StoredTrial, TrialFile
from profiler.report.live.event_console import EventConsole
from profiler.report.live.outline import Outline
from profiler.report.live.state import RunState, watts


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
        self._events.measuring(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """`run_finished` comes with the result."""
        self._events.measuring(False)

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        """A trial is there from before."""
        self._state.trial_found(source)

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
