"""Latency against the offered rate."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from profiler.analysis.goodput import stated
from profiler.analysis.pictures.load_latency import COLUMNS, LoadPoint, load_points
from profiler.records.store import DamagedTrial, StoredRun, StoredTrial
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured
from profiler.report.terminal import LATENCIES
from profiler.scenario import SloConfig

_TITLE = "Latency under load"
_CAPTION = (
    "Median and p99 of each latency at every rate that was offered, with 95 % intervals; an end at the edge may have "
    "no bound. The dashed line is the scenario's SLO. Thin lines and hollow marks: median; "
    "thick lines and full ones: p99. Rates at which the backlog grew have no latency and are left out."
)
_ONE_LOAD = "one load only: run “alignment-tax saturate” with this scenario for the curve"


def picture(asked: Asked) -> Picture:
    """Of a profiled run, which seldom has several rates."""
    return of_run(asked.result.run, asked.arms)


def of_run(run: StoredRun, arms: list[str]) -> Picture:
    """A curve an arm and quantile, a panel a latency."""
    points = load_points(_trials(run)) if _several(run) else ()
    if len({point.rate_hz for point in points}) < 2:
        return not_measured("load_latency", _TITLE, _ONE_LOAD)
    slo = stated(SloConfig.model_validate(run.manifest.get("scenario", {}).get("slo") or {}))
    return Picture(
        "load_latency",
        _TITLE,
        _CAPTION,
        told=f"Load-latency curves of {len({p.arm for p in points})} arms at {len({p.rate_hz for p in points})} rates.",
        data={
            "panels": [
                {"metric": word, "slo": slo.get(metric), "points": _panel(points, metric, arms)}
                for metric, word in LATENCIES.items()
                if any(point.metric == metric for point in points)
            ]
        },
        table=DataTable(
            ("arm", "requests/s", "latency", "quantile", "ms [95 % interval]", "requests"), [_row(p) for p in points]
        ),
    )


def _several(run: StoredRun) -> bool:
    return len({source.info.rate_hz for source in run.sources if source.info.rate_hz is not None}) > 1


def _trials(run: StoredRun) -> Iterator[StoredTrial]:
    for source in run.sources:
        if source.info.rate_hz is not None:
            with suppress(DamagedTrial):  # the report has named it
                yield source.load(COLUMNS, samples=False)


def _panel(points: tuple[LoadPoint, ...], metric: str, arms: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "arm": arms.index(point.arm),
            "rate": point.rate_hz,
            "q": f"p{100 * point.q:.0f}",
            "ms": [point.ms.estimate, point.ms.low, point.ms.high],
        }
        for point in points
        if point.metric == metric and point.arm in arms
    ]


def _row(point: LoadPoint) -> tuple[str, ...]:
    ends = (f"{end:.0f}" if math.isfinite(end) else "?" for end in (point.ms.low, point.ms.high))
    said = f"{point.ms.estimate:.0f} [{', '.join(ends)}]"
    return (
        point.arm,
        f"{point.rate_hz:.3g}",
        LATENCIES[point.metric],
        f"p{100 * point.q:.0f}",
        said,
        str(point.requests),
    )
