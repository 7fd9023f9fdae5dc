"""Benefit against tax, with the arms that no other beats."""

from typing import Any

from profiler.analysis.pictures.front import Front, FrontPoint, benefit_front
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured
from profiler.report.numbers import with_range

_TITLE = "Benefit against tax"
_CAPTION = (
    "Mean E2EL tax of each arm against the share of harmful prompts that got an answer (neither blocked nor refused), "
    "with 95 % intervals; an end at the edge may have no "
    "bound. Down and to the left is better. The line joins the arms that no other arm beats in both "
    "estimates. The tax counts blocked requests with their quick refusal; over-refusal is in the tables below."
)


def picture(asked: Asked) -> Picture:
    """A point an arm, crossed by its intervals."""
    found = benefit_front(asked.result)
    if len(found.points) < 2:
        return not_measured("front", _TITLE, _why(found))
    lacking = "".join(f" {arm}: not measured: {why}." for arm, why in found.lacking.items())
    return Picture(
        "front",
        _TITLE,
        _CAPTION + lacking,
        told=_told(found),
        data={"points": [_point(point, asked.arms) for point in found.points]},
        table=DataTable(
            ("arm", "E2EL tax, ms [95 % interval]", "harmful prompts answered, %", "standing"),
            [_row(point) for point in found.points],
        ),
    )


def _why(found: Front) -> str:
    if found.lacking:
        return "; ".join(dict.fromkeys(found.lacking.values()))
    return "no arm beside the baseline" if found.points else "no arm has a benefit"


def _point(point: FrontPoint, arms: list[str]) -> dict[str, Any]:
    tax, success = point.tax, point.attack_success
    return {
        "arm": arms.index(point.arm),
        "tax": [tax.estimate, tax.low, tax.high],
        "share": [success.estimate, success.low, success.high],
        "front": not point.beaten_by,
    }


def _row(point: FrontPoint) -> tuple[str, ...]:
    tax, success = point.tax, point.attack_success
    ends = f"{100 * success.estimate:.0f} [{100 * success.low:.0f}, {100 * success.high:.0f}]"
    beaten = f"beaten by {point.beaten_by}" + ("" if point.clear else ", within the intervals")
    cost = with_range(tax.estimate, (tax.low, tax.high)) if tax.low < tax.high else "0 (the baseline)"
    return point.arm, cost, ends, beaten if point.beaten_by else "not beaten"


def _told(found: Front) -> str:
    said = [f"{p.arm} {p.tax.estimate:+.0f} ms and {100 * p.attack_success.estimate:.0f} %" for p in found.points]
    best = [p.arm for p in found.points if not p.beaten_by]
    return f"Scatter of tax and harmful prompts answered: {'; '.join(said[:12])}. Not beaten: {', '.join(best[:12])}."
