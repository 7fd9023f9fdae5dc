"""Power over a run, with the window of each trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.tax import RunResult
from profiler.records.record import TrialInfo
from profiler.records.samples import Samples, Series
from profiler.records.store import DamagedTrial

_MOST_POINTS = 1500


@dataclass(frozen=True)
class Window:
    """One trial, in seconds from the first one's start."""

    arm: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class PowerPoint:
    """Power of one source in one trial at one time."""

    source: str
    trial: int
    at_s: float
    watts: float


@dataclass(frozen=True)
class TrialPower:
    """Power of one source over one trial: the mean and the highest of its samples."""

    source: str
    trial: int
    mean_w: float
    peak_w: float


@dataclass(frozen=True)
class Power:
    """Every trial that was read; `points` by source and time, at most so many that a page can hold them.

    `breaks_s`: where the clock fell, as it does over a restart of the machine before a resume; what follows is drawn
    from there on, as nobody knows the time between.
    """

    windows: tuple[Window, ...]
    points: tuple[PowerPoint, ...]
    trials: tuple[TrialPower, ...]
    breaks_s: tuple[float, ...] = ()


def power(result: RunResult) -> Power:
    """The GPUs' power as sampled, and the CPU's from the growth of its energy counter. Longer runs are averaged."""
    loaded = []
    for source in sorted(result.run.sources, key=lambda one: one.info.index):
        try:
            loaded.append((source.info, source.load(("index",)).samples))
        except DamagedTrial:  # the report names it
            continue
    if not loaded:
        return Power((), (), ())
    spans_ns = [_window_ns(info, samples) for info, samples in loaded]
    zeros_ns, breaks_s = _zeros(spans_ns)
    windows = [
        Window(info.arm, (began - zero_ns) / 1e9, (ended - zero_ns) / 1e9)
        for (info, _), (began, ended), zero_ns in zip(loaded, spans_ns, zeros_ns, strict=True)
    ]
    found = [
        (name, trial, series)
        for trial, (_, samples) in enumerate(loaded)
        if samples is not None
        for name, series in _watts(samples)
    ]
    points = sum(len(series.t_ns) for _, _, series in found)
    step = -(-points // _MOST_POINTS) or 1
    return Power(
        tuple(windows),
        tuple(
            PowerPoint(name, trial, (t_ns - zeros_ns[trial]) / 1e9, watts)
            for name, trial, series in found
            for t_ns, watts in zip(*_thinned(series, step), strict=True)
        ),
        tuple(TrialPower(name, trial, float(s.value.mean()), float(s.value.max())) for name, trial, s in found),
        breaks_s,
    )


def _zeros(spans_ns: Sequence[tuple[int, int]]) -> tuple[list[int], tuple[float, ...]]:
    """What to take from the times of each trial, and after how many seconds the clock fell."""
    zeros, breaks = [spans_ns[0][0]], list[float]()
    for (last_began, last_ended), (began, _) in zip(spans_ns, spans_ns[1:], strict=False):
        if began < last_began:
            breaks.append((last_ended - zeros[-1]) / 1e9)
            zeros.append(began - (last_ended - zeros[-1]))
        else:
            zeros.append(zeros[-1])
    return zeros, tuple(breaks)


def _window_ns(info: TrialInfo, samples: Samples | None) -> tuple[int, int]:
    """When the meters began and ended; the trial's own times where they did not run."""
    if samples is None:
        return info.started_ns, info.ended_ns
    return int(samples.facts["began_ns"]), int(samples.facts["ended_ns"])


def _watts(samples: Samples) -> list[tuple[str, Series]]:
    gpus = [str(gpu["source"]) for gpu in samples.facts.get("gpus", ())]
    found = [(source, samples.series(source, "power_w")) for source in gpus]
    for zone in samples.facts.get("rapl", ()):
        counter = samples.series(str(zone["source"]), "energy_j")
        found.append((str(zone["source"]), _growth(counter, float(zone["wraps_at_j"]))))
    return [(source, series) for source, series in found if len(series.t_ns)]


def _growth(counter: Series, wraps_at_j: float) -> Series:
    """Mean watts between two readings of an energy counter, at the middle of the two."""
    joules, ns = np.diff(counter.value), np.diff(counter.t_ns)
    joules = np.where(joules < 0, joules + wraps_at_j, joules)
    later = ns > 0
    return Series((counter.t_ns[:-1] + ns // 2)[later], joules[later] / (ns[later] / 1e9))


def _thinned(series: Series, step: int) -> tuple[Sequence[float], Sequence[float]]:
    """Means over `step` samples."""
    starts = np.arange(0, len(series.t_ns), step)
    counts = np.diff(np.append(starts, len(series.t_ns)))
    ns, watts = (np.add.reduceat(x.astype(np.float64), starts) / counts for x in (series.t_ns, series.value))
    return ns.tolist(), watts.tolist()
