"""The share of good requests against the offered rate, and where it crosses what is required."""

from typing import Any

from profiler.analysis.capacity import RateResult
from profiler.report.html.parts import DataTable, Picture, not_measured
from profiler.saturation.probe import results
from profiler.saturation.result import SaturationResult

_TITLE = "Where each arm is full"
_CAPTION = (
    "Share of requests that met the SLO at every rate tried, with 95 % intervals. The dashed line is the share "
    "that is required; a vertical line is where the fit that never rises crosses it: the arm's capacity, shaded where "
    "it surely lies."
)


def picture(found: SaturationResult) -> Picture:
    """Points an arm and rate, and the capacities."""
    required = found.goal.good_fraction
    rates = {name: results(arm.probes, required) for name, arm in found.arms.items()}
    if not any(rates.values()):
        return not_measured("goodput", _TITLE, "no probe at a rate was finished")
    arms = list(found.arms)
    return Picture(
        "goodput",
        _TITLE,
        _CAPTION,
        told=_told(found),
        data={
            "required": required,
            "points": [_point(arms.index(name), one) for name, mine in rates.items() for one in mine],
            "capacities": [
                {"arm": place, "hz": arm.capacity.estimate_hz, "from": arm.capacity.low_hz, "to": arm.capacity.high_hz}
                for place, arm in enumerate(found.arms.values())
                if arm.capacity.estimate_hz is not None
            ],
        },
        table=DataTable(
            ("arm", "requests/s", "good, % [95 % interval]", "requests", "the SLO is"),
            [_row(name, one) for name, mine in rates.items() for one in mine],
        ),
    )


def _point(arm: int, one: RateResult) -> dict[str, Any]:
    return {"arm": arm, "rate": one.rate_hz, "share": [one.share.estimate, one.share.low, one.share.high]}


def _row(name: str, one: RateResult) -> tuple[str, ...]:
    share = f"{100 * one.share.estimate:.1f} [{100 * one.share.low:.1f}, {100 * one.share.high:.1f}]"
    return name, f"{one.rate_hz:.3g}", share, str(one.weight), one.held.value


def _told(found: SaturationResult) -> str:
    known = {name: arm.capacity.estimate_hz for name, arm in found.arms.items()}
    said = [f"{name} {rate_hz:.3g}" for name, rate_hz in known.items() if rate_hz is not None]
    return f"Share of good requests against the rate. Capacity in requests/s: {', '.join(said[:8]) or 'none found'}."
