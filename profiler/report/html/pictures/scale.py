"""The tax against the size of the model: points with their intervals, and the power law through them."""

from typing import Any

from profiler.analysis.scale import Point, PowerLaw, Scale
from profiler.report.html.parts import DataTable, Picture, not_measured
from profiler.report.scale import WORDS, cells, law_words

_TITLE = "Tax against size"
_CAPTION = (
    "The tax of each run with its 95 % interval (an end at the edge may have no "
    "bound), on logarithmic axes where all of an arm's have one sign. The line is "
    "the fitted power law; an arm whose tax is not told from zero at some size has none."
)


def picture(found: Scale) -> Picture:
    """Panels of the absolute and of the relative tax, a metric each; only metrics that an arm has."""
    metrics = [metric for metric in WORDS if any(metric in mine for mine in found.arms.values())]
    if not metrics:
        return not_measured("scale", _TITLE, "no arm with the same guards has a tax in these runs")
    arms = list(found.arms)
    return Picture(
        "scale",
        _TITLE,
        _CAPTION,
        told=f"Tax of {len(arms)} arm(s) at {len({one.parameters for one in found.runs})} sizes of model.",
        data={"panels": [_panel(found, arms, metric, relative) for metric in metrics for relative in (False, True)]},
        table=DataTable(
            ("arm", "metric", "size", "baseline", "tax [95 %]", "in %"),
            [
                (arm, WORDS[metric], *cells(point))
                for arm, mine in found.arms.items()
                for metric, one in mine.items()
                for point in one.points
            ],
        ),
    )


def _panel(found: Scale, arms: list[str], metric: str, relative: bool) -> dict[str, Any]:
    points, laws = list[dict[str, Any]](), list[dict[str, Any]]()
    for place, arm in enumerate(arms):
        if (one := found.arms[arm].get(metric)) is not None:
            points += [shown for point in one.points if (shown := _point(place, point, relative))]
            laws += _law(place, one.relative if relative else one.absolute)
    return {
        "title": f"{WORDS[metric].split(',')[0]}, in % of the baseline" if relative else WORDS[metric],
        "percent": relative,
        "points": points,
        "laws": laws,
    }


def _point(arm: int, point: Point, relative: bool) -> dict[str, Any] | None:
    tax = point.relative if relative else point.absolute
    if tax is None:
        return None
    return {"arm": arm, "size": point.parameters, "tax": [tax.estimate, tax.low, tax.high]}


def _law(arm: int, law: PowerLaw) -> list[dict[str, Any]]:
    if law.exponent is None or law.factor is None:
        return []
    said = law_words(law)
    return [{"arm": arm, "factor": law.factor, "exponent": law.exponent.estimate, "said": said}]
