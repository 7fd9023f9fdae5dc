"""What a sweep found, from its stored trials alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from profiler.analysis.capacity import Capacity, capacity_tax
from profiler.analysis.stats import Interval
from profiler.errors import UserError
from profiler.records.store import DamagedTrial, StoredRun
from profiler.saturation.probe import COLUMNS, Goal, Probe, probe_of, results
from profiler.saturation.search import capacity_of, unfinished
from profiler.scenario import BASELINE, SloConfig

KIND = "saturation"


@dataclass(frozen=True)
class ArmCapacity:
    """One arm: its capacity, what that is of the baseline's less (None if not measured), and its probes."""

    capacity: Capacity
    tax: Interval | None
    probes: tuple[Probe, ...]
    unfinished: bool


@dataclass(frozen=True)
class SaturationResult:
    """A sweep; `arms` in the scenario's order, the baseline first."""

    run: StoredRun
    goal: Goal
    arms: dict[str, ArmCapacity]
    warnings: tuple[str, ...]


def goal_record(goal: Goal) -> dict[str, Any]:
    """What `run.json` says of the goal; the objectives are the scenario's."""
    return {
        "good_fraction": goal.good_fraction,
        "resolution": goal.resolution,
        "probe_seconds": goal.probe_seconds,
        "curve": goal.curve,
    }


def goal_of(manifest: Mapping[str, Any]) -> Goal:
    """What a sweep looked for."""
    return Goal(SloConfig.model_validate(manifest["scenario"]["slo"]), **manifest[KIND])


def saturation_result(run: StoredRun) -> SaturationResult:
    """Derive capacities and their taxes.

    Raises:
        UserError: the run is no sweep.
    """
    if run.manifest.get("kind") != KIND:
        raise UserError(f"{run.path}: not a saturation sweep: run `alignment-tax saturate`")
    goal = goal_of(run.manifest)
    probes, damaged = _probes(run, goal)
    seed = int(run.manifest["scenario"]["seed"])
    arms = {arm: _arm(probes, arm, goal, seed) for arm in run.manifest["arms"]}
    warnings = [f"damaged and left out: {what}" for what in damaged]
    if open_arms := [arm for arm, found in arms.items() if found.unfinished]:
        warnings.append(unfinished_warning(open_arms))
    for arm, found in arms.items():
        late = [probe for probe in found.probes if probe.invalid]
        if late:
            warnings.append(f"{arm}: {len(late)} probe(s) left out: {late[-1].invalid}")
    return SaturationResult(run, goal, arms, tuple(warnings))


def unfinished_warning(arms: Iterable[str]) -> str:
    """What there is to say of arms whose search did not end."""
    return f"the sweep ended before the search was over for {', '.join(arms)}"


def _probes(run: StoredRun, goal: Goal) -> tuple[dict[str, list[Probe]], list[str]]:
    """The probes of each arm in the order of the sweep, and what could not be read."""
    found: dict[str, list[Probe]] = {arm: [] for arm in run.manifest["arms"]}
    damaged = list(run.damaged)
    for source in sorted(run.sources, key=lambda s: s.info.index):
        try:
            found[source.info.arm].append(probe_of(source.load(COLUMNS, samples=False), goal))
        except DamagedTrial as error:
            damaged.append(str(error))
    return found, damaged


def _arm(probes: Mapping[str, list[Probe]], arm: str, goal: Goal, seed: int) -> ArmCapacity:
    mine, tax = probes[arm], None
    found, baseline = capacity_of(mine, goal), capacity_of(probes[BASELINE], goal)
    if arm != BASELINE and found.estimate_hz is not None and baseline.estimate_hz is not None:
        required = goal.good_fraction
        tax = capacity_tax(results(mine, required), results(probes[BASELINE], required), required, seed=seed)
    return ArmCapacity(found, tax, tuple(mine), unfinished(mine, goal))
