"""Tax against the share of harmful requests."""

from typing import Any

from profiler.analysis.pictures.fractions import FractionPoint, fractions
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured
from profiler.report.numbers import percent_with_range, with_range

_TITLE = "Tax against the share of harmful requests"
_CAPTION = (
    "Mean E2EL tax of each arm, were this share of its requests harmful: worked out from each request's cost over the "
    "same request in the baseline, with 95 % bands; an end at the edge may have no "
    "bound. What another mix would do to queues and batches is not in it."
)


def picture(asked: Asked) -> Picture:
    """A curve an arm with its band, the run's own share and the one asked for as lines."""
    found = fractions(asked.result, asked.harmful)
    known = [point for point in found.points if point.tax.absolute is not None]
    if len({point.harmful for point in known}) < 2:
        whys = [p.tax.why for p in found.points if p.tax.why and 0 < p.harmful < 1]
        return not_measured("fractions", _TITLE, next(iter(whys), "no arm beside the baseline"))
    asked_for = "" if asked.harmful is None else f" Asked for: {_percent(asked.harmful)}."
    return Picture(
        "fractions",
        _TITLE,
        f"{_CAPTION} This run has {_percent(found.harmful)}.{asked_for}",
        told=_told(known, found.harmful),
        data={
            "own": found.harmful,
            "asked": asked.harmful,
            "points": [_point(point, asked.arms) for point in known],
        },
        table=DataTable(
            ("arm", "harmful", "E2EL tax, ms [95 % interval]", "in %"),
            [_row(p) for p in known if round(20 * p.harmful) % 2 == 0 or p.harmful in (found.harmful, asked.harmful)],
        ),
    )


def _point(point: FractionPoint, arms: list[str]) -> dict[str, Any]:
    tax = point.tax.absolute
    assert tax is not None
    return {"arm": arms.index(point.arm), "harmful": point.harmful, "ms": [tax.estimate, tax.low, tax.high]}


def _row(point: FractionPoint) -> tuple[str, ...]:
    tax, relative = point.tax.absolute, point.tax.relative
    assert tax is not None
    percent = "-" if relative is None else percent_with_range(relative.estimate, (relative.low, relative.high))
    return point.arm, _percent(point.harmful), with_range(tax.estimate, (tax.low, tax.high)), percent


def _told(known: list[FractionPoint], own: float) -> str:
    ends = []
    for arm in dict.fromkeys(point.arm for point in known):
        mine = [(p.harmful, p.tax.absolute.estimate) for p in known if p.arm == arm and p.tax.absolute is not None]
        ends.append(f"{arm} from {mine[0][1]:+.0f} ms at {_percent(mine[0][0])} to {mine[-1][1]:+.0f} ms at "
                    f"{_percent(mine[-1][0])}")  # fmt: skip
    return f"Lines of the E2EL tax over the share of harmful requests, {_percent(own)} in this run: {'; '.join(ends)}."


def _percent(share: float) -> str:
    return f"{round(100 * share, 1):g} %"
