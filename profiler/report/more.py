"""What a report adds where the run or its reader asked for it: the stopping rule, attribution, another mix."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from profiler.analysis.attribution import Attributed, attributions
from profiler.analysis.run_mixture import run_mixture
from profiler.analysis.tax import RunResult
from profiler.analysis.until import Looked, looked
from profiler.report.attribution import attribution_json, print_attribution
from profiler.report.device_time import device_time_json, print_device_time
from profiler.report.host_time import host_time_json, print_host_time
from profiler.report.mixture import mixture_json, print_mixture
from profiler.report.until import looked_json, print_looked
from profiler.scenario import BASELINE, UntilConfig


def print_more(result: RunResult, harmful: float | None, console: Console) -> None:
    """Print what applies. `harmful`: the share of harmful requests to work the tax out for."""
    if (found := _looked(result)) is not None:
        print_looked(found, result.run.ending, console)
    if attributed := _attributed(result):
        print_attribution(attributed, console)
    print_host_time(result.run.path, console)
    print_device_time(result.run.path, console)
    if harmful is not None:
        print_mixture(run_mixture(result), harmful, console)


def more_json(result: RunResult, harmful: float | None) -> dict[str, Any]:
    """The same as keys of the report's document."""
    found, attributed, more = _looked(result), _attributed(result), dict[str, Any]()
    if found is not None:
        more["until"] = looked_json(found, result.run.ending)
    if attributed:
        more["attribution"] = attribution_json(attributed)
    if host := host_time_json(result.run.path):
        more["host_time"] = host
    if device := device_time_json(result.run.path):
        more["device_time"] = device
    if harmful is not None:
        more["mixture"] = mixture_json(run_mixture(result), harmful)
    return more


def _scenario(result: RunResult) -> Mapping[str, Any]:
    found: Mapping[str, Any] = result.run.manifest.get("scenario") or {}
    return found


def _looked(result: RunResult) -> Looked | None:
    if not (stated := _scenario(result).get("until")):
        return None
    arms = [arm for arm in result.run.manifest["arms"] if arm != BASELINE]
    return looked(UntilConfig.model_validate(stated), result.trials, arms)


def _attributed(result: RunResult) -> tuple[Attributed, ...]:
    how = _scenario(result).get("attribution", "none")
    stacks = {arm: tuple(guards) for arm, guards in result.run.manifest.get("stacks", {}).items()}
    steady = [trial for trial in result.trials if trial.block not in result.warm_up.blocks]
    return attributions(steady, stacks, how)
