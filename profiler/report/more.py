"""What a report adds where the run or its reader asked for it: the stopping rule, attribution, another mix."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from profiler.analysis.tax import RunResult
from profiler.analysis.until import Looked, looked
from profiler.report.until import looked_json, print_looked
from profiler.scenario import BASELINE, UntilConfig


def print_more(result: RunResult, harmful: float | None, console: Console) -> None:
    """Print what applies. `harmful`: the share of harmful requests to work the tax out for."""
    if (found := _looked(result)) is not None:
        print_looked(found, result.run.ending, console)


def more_json(result: RunResult, harmful: float | None) -> dict[str, Any]:
    """The same as keys of the report's document."""
    found, more = _looked(result), dict[str, Any]()
    if found is not None:
        more["until"] = looked_json(found, result.run.ending)
    return more


def _scenario(result: RunResult) -> Mapping[str, Any]:
    found: Mapping[str, Any] = result.run.manifest.get("scenario") or {}
    return found


def _looked(result: RunResult) -> Looked | None:
    if not (stated := _scenario(result).get("until")):
        return None
    arms = [arm for arm in result.run.manifest["arms"] if arm != BASELINE]
    return looked(UntilConfig.model_validate(stated), result.trials, arms)
