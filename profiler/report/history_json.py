"""A history as data."""

from collections.abc import Iterator, Sequence
from typing import Any

from profiler.analysis.history import ArmFigures, Series, Trend, value
from profiler.analysis.words import Word
from profiler.history import LeftOut
from profiler.report.attribution import interval_json
from profiler.report.history import why_no_tax
from profiler.report.schema import VERSION
from profiler.scenario import BASELINE


def history_json(series: Sequence[Series], left_out: Sequence[LeftOut], word: Word, tax: bool) -> dict[str, Any]:
    """The same as data. Latencies in ms, changes and taxes as shares, null where not known."""
    return {
        "schema": VERSION,
        "metric": word.name,
        "unit": word.unit,
        "followed": "tax" if tax else "figure",
        "series": [_series_json(one, word, tax) for one in series],
        "left_out": [{"run": one.name, "why": one.why} for one in left_out],
    }


def _series_json(series: Series, word: Word, tax: bool) -> dict[str, Any]:
    key = series.key
    return {
        "scenario": key.scenario,
        "scenario_hash": key.scenario_hash,
        "model": key.model,
        "device": key.device,
        "vllm_version": key.vllm,
        "runs": [
            {
                "id": run.name,
                "started": run.started,
                "git_commit": run.git_commit or None,
                "blocks": run.blocks,
                "note": run.note or None,
                "arms": {arm: _arm_json(arm, found, word) for arm, found in run.arms.items()},
            }
            for run in series.runs
        ],
        "trends": [_trend_json(series, trend) for trend in series.trends],
        "change_points_looked_for": any(trend.long_enough for trend in series.trends),
        "followed": "tax" if tax else "figure",
    }


def _arm_json(arm: str, found: ArmFigures, word: Word) -> dict[str, Any]:
    return {
        "requests": found.requests,
        "quantiles_ms": dict(found.quantiles_ms),
        "output_tokens_per_s": found.output_tokens_per_s,
        "figure": None if found.own is None else interval_json(value(found.own, tax=False)),
        "tax": None if found.tax is None else interval_json(value(found.tax, tax=True)),
        "not_measured": dict(_missing(arm, found, word)),
    }


def _missing(arm: str, found: ArmFigures, word: Word) -> Iterator[tuple[str, str]]:
    """The baseline has no tax to miss."""
    if found.own is None:
        yield "figure", f"it needs two blocks with {word.name}, a p99 more requests"
    if found.tax is None and arm != BASELINE:
        yield "tax", why_no_tax(word)


def _trend_json(series: Series, trend: Trend) -> dict[str, Any]:
    return {
        "arm": trend.arm,
        "runs": [series.runs[place].name for place in trend.places],
        "changes_looked_for": trend.long_enough,
        "changes": [
            {
                "from": series.runs[trend.places[change.index]].name,
                "relative": interval_json(change.relative_interval()),
                "p_value": change.p_value,
            }
            for change in trend.changes
        ],
    }
