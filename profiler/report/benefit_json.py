"""The benefit as data: null is what was not measured, with the reason, and an end that the prompts do not bound."""

from collections.abc import Mapping
from typing import Any

from profiler.analysis.benefit import ArmBenefit, Handled
from profiler.analysis.figure import Figure
from profiler.report.attribution import interval_json

_HARMLESS = ("benign", "borderline")


def benefit_json(found: ArmBenefit | None) -> dict[str, Any] | None:
    """One arm's; shares are between 0 and 1, differences are the arm's less the baseline's."""
    if found is None:
        return None
    return {
        "block_recall": figure_json(found.labels["harmful"].blocked),
        "over_refusal": {label: _handled(found.labels[label]) for label in _HARMLESS},
        "refused_harmful": figure_json(found.labels["harmful"].refused),
        **{name: figure_json(figure) for name, figure in found.figures.items()},
        "prompts": {label: handled.prompts for label, handled in found.labels.items()},
        "against_baseline": {name: figure_json(figure) for name, figure in found.against_baseline.items()},
        "categories": {label: _categories(handled) for label, handled in found.categories.items()},
        "failed_requests": dict(found.failed),
        "unjudged_answers": found.unjudged,
    }


def _categories(found: Mapping[str, Handled]) -> dict[str, Any]:
    return {name: {"prompts": handled.prompts, **_handled(handled)} for name, handled in found.items()}


def _handled(found: Handled) -> dict[str, Any]:
    return {name: figure_json(getattr(found, name)) for name in ("blocked", "refused", "either")}


def figure_json(figure: Figure) -> dict[str, Any]:
    """A figure with its interval, or why there is none."""
    ends = interval_json(figure.interval) or {"estimate": None, "ci95": None}
    return {**ends, "prompts": figure.prompts, "not_measured": figure.why or None}
