"""A capacity plan, from stored runs alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.analysis.displacement import KvDisplacement
from profiler.analysis.tax import RunResult
from profiler.capacity_plan.arm import Fleet, More, fleet_of, more_than
from profiler.capacity_plan.asked import Asked
from profiler.capacity_plan.capacity import PercentileCapacity, percentile_capacity
from profiler.capacity_plan.elsewhere import check_same, energy_elsewhere, memory_of, other_conditions
from profiler.capacity_plan.mix import tokens_a_request
from profiler.capacity_plan.reading import SweepData, read_sweep
from profiler.capacity_plan.replica import gpus_per_replica
from profiler.errors import UserError
from profiler.meters.not_measured import NotMeasured
from profiler.records.store import StoredRun
from profiler.scenario import BASELINE


@dataclass(frozen=True)
class ArmPlan:
    """One arm: `fleet` is None where the capacity was not measured; `more` is over the baseline, None of itself."""

    capacity: PercentileCapacity
    fleet: Fleet | None
    more: More | None


@dataclass(frozen=True)
class PlanResult:
    """A plan; `arms` in the sweep's order, the baseline first."""

    run: StoredRun
    others: tuple[StoredRun, ...]
    asked: Asked
    arms: Mapping[str, ArmPlan]
    memory: KvDisplacement | NotMeasured
    warnings: tuple[str, ...]


def plan(sweep: StoredRun, others: Sequence[RunResult], asked: Asked) -> PlanResult:
    """Work the plan out of a saturation sweep; runs of `profile` add energy and memory.

    Raises:
        UserError: a run of another model or machine, or a sweep that is not whole.
    """
    _check_whole(sweep)
    check_same(sweep, others)
    data = read_sweep(sweep, min(one.limit_ms for one in asked.objectives))
    seed = int(sweep.manifest["scenario"]["seed"])
    capacities = {
        arm: percentile_capacity(found, asked.objectives, asked.harmful, (seed, place, 23))
        for place, (arm, found) in enumerate(data.probes.items())
    }
    fleets = {arm: _fleet(sweep, data, others, asked, arm, found) for arm, found in capacities.items()}
    base, its = fleets[BASELINE], capacities[BASELINE]
    arms = {
        arm: ArmPlan(found, fleets[arm], None if arm == BASELINE else more_than(fleets[arm], found, base, its, asked))
        for arm, found in capacities.items()
    }
    memory = memory_of(sweep, data.baseline, data.lengths, others)
    warnings = (*data.warnings, *other_conditions(sweep, others), *_blind(asked))
    return PlanResult(sweep, tuple(one.run for one in others), asked, arms, memory, warnings)


def _check_whole(sweep: StoredRun) -> None:
    """Refuse a sweep that lacks what no plan goes without."""
    if (sweep.manifest.get("scenario") or {}).get("seed") is None:
        raise UserError(f"{sweep.path / 'run.json'}: has no scenario.seed: it is not whole: run the sweep again")
    if BASELINE not in sweep.manifest["arms"]:
        raise UserError(f"{sweep.path}: has no arm `{BASELINE}` to compare with: run `alignment-tax saturate` again")


def _blind(asked: Asked) -> list[str]:
    if any(one.metric != "tpot_ms" for one in asked.objectives):
        return []
    return ["--slo: TPOT alone does not see how long a request waits for its first token: add ttft_p99 or e2el_p99"]


def _fleet(
    sweep: StoredRun, data: SweepData, others: Sequence[RunResult], asked: Asked, arm: str, found: PercentileCapacity
) -> Fleet | None:
    if found.state == "not measured":
        return None
    tokens = tokens_a_request(data.probes[arm], asked.harmful)
    elsewhere = energy_elsewhere(sweep, arm, others, data.no_power)
    return fleet_of(found, asked, gpus_per_replica(sweep.manifest, arm), tokens, data.powers(arm), elsewhere)
