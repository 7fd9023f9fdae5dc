"""The distribution of TTFT, TPOT and E2EL by arm."""

from typing import Any

from profiler.analysis.pictures.ecdf import MARKED, Curve, curves
from profiler.analysis.stats import P99_MIN_REQUESTS
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured
from profiler.report.terminal import LATENCIES

_TITLE = "How latency is distributed"
_CAPTION = (
    "Share of requests that took at most so long (empirical distribution, time on a logarithmic scale). Dots mark the "
    "p50, p90 and p99, which are the sample's own. A curve further right is slower."
)
_FEW = f"*: fewer than {P99_MIN_REQUESTS} requests: the sample's p99, which nothing bounds from above."


def picture(asked: Asked) -> Picture:
    """A curve an arm, a panel a latency."""
    found = curves(asked.result)
    if not found:
        return not_measured("ecdf", _TITLE, "no request was answered")
    panels = [_panel(metric, [c for c in found if c.metric == metric], asked.arms) for metric in LATENCIES]
    absent = [LATENCIES[metric] for metric in LATENCIES if not any(c.metric == metric for c in found)]
    few = f" {_FEW}" if any(curve.count < P99_MIN_REQUESTS for curve in found) else ""
    lacking = f"{few} {', '.join(absent)}: not measured: every answer came in one piece." if absent else few
    return Picture(
        "ecdf",
        _TITLE,
        _CAPTION + lacking,
        told=_told(found),
        data={"panels": [panel for panel in panels if panel["curves"]]},
        table=DataTable(
            ("latency, ms", "arm", "requests", "least", "p50", "p90", "p99", "most"), [_row(curve) for curve in found]
        ),
    )


def _panel(metric: str, found: list[Curve], arms: list[str]) -> dict[str, Any]:
    return {
        "metric": LATENCIES[metric],
        "curves": [
            {
                "arm": arms.index(curve.arm),
                "share": [round(q, 4) for q in curve.share.tolist()],
                "ms": [float(f"{ms:.6g}") for ms in curve.ms.tolist()],
                "marked": MARKED,
            }
            for curve in found
        ],
    }


def _row(curve: Curve) -> tuple[str, ...]:
    p50, p90, p99 = (_at(curve, q) for q in MARKED)
    mark = "" if curve.count >= P99_MIN_REQUESTS else "*"
    ends = (f"{curve.ms[0]:.1f}", f"{p50:.1f}", f"{p90:.1f}", f"{p99:.1f}{mark}", f"{curve.ms[-1]:.1f}")
    return LATENCIES[curve.metric], curve.arm, f"{curve.count:,}", *ends


def _at(curve: Curve, q: float) -> float:
    return float(curve.ms[int(abs(curve.share - q).argmin())])


def _told(found: tuple[Curve, ...]) -> str:
    said = [f"{curve.arm} {_at(curve, 0.5):.0f} ms" for curve in found if curve.metric == "e2el_ms"][:8]
    return f"Distribution curves of {len({c.metric for c in found})} latencies. Median E2EL: {', '.join(said)}."
