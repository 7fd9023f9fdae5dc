"""What a run of `profile` adds to a sweep: energy at its own load, and the KV cache that guards displace."""

from collections.abc import Sequence
from dataclasses import replace

from profiler.analysis.arm_resources import Energy as Measured
from profiler.analysis.configuration import differences, match_arms
from profiler.analysis.displacement import ALL_GUARDS, KvDisplacement, Lengths, displacement_of
from profiler.analysis.energy import J_PER_KWH
from profiler.analysis.metrics import TrialMetrics
from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult
from profiler.capacity_plan.arm import Energy
from profiler.errors import UserError
from profiler.meters.not_measured import NotMeasured
from profiler.records.store import StoredRun
from profiler.report.text import printable

_MILLION = 1e6
_SAME = ("model", "device_name", "engine")
# A run of `profile` has a load of its own, and says so.
_EXPECTED = "loads differ"


def check_same(sweep: StoredRun, others: Sequence[RunResult]) -> None:
    """Refuse a run of another model or machine.

    Raises:
        UserError: there is one.
    """
    for other in others:
        for key in _SAME:
            mine, its = (run.manifest["facts"].get(key) for run in (sweep, other.run))
            if mine != its:
                raise UserError(
                    f"{other.run.path}: {key} {printable(its)}, and the sweep's is {printable(mine)}: name a run of "
                    "the same model on the same machine"
                )


def other_conditions(sweep: StoredRun, others: Sequence[RunResult]) -> list[str]:
    """What differs between the sweep and the runs beside it that bears on what these add, a line each."""
    return [
        f"{printable(other.run.path.name)} beside the sweep: {printable(line)}"
        for other in others
        for line in differences(sweep.manifest, other.run.manifest)
        if not line.startswith(_EXPECTED)
    ]


def energy_elsewhere(sweep: StoredRun, arm: str, others: Sequence[RunResult], why: str) -> Energy:
    """The energy of the arm with the same guards in the first run that measured it, at that run's load.

    `why` the sweep has none.
    """
    for other in others:
        named = dict(match_arms(sweep.manifest, [arm], other.run.manifest, list(other.arms)).pairs)
        found = other.arms.get(named.get(arm, ""))
        energy = {} if found is None or found.resources is None else found.resources.energy
        one = next((energy[of] for of in ("gpu+cpu", "gpu", "cpu") if of in energy), None)
        if one is not None and one.j_per_token is not None and one.j_per_request is not None:
            of = next(name for name in ("gpu+cpu", "gpu", "cpu") if name in energy)
            return Energy(_kwh(one, one.j_per_token), _kwh(one, one.j_per_request), of, printable(other.run.path.name))
    return Energy(None, None, why=why)


def _kwh(one: Measured, joules: float) -> Interval:
    """Per million; the counter's steps bound a request's as they do a token's."""
    per_token = one.j_per_token or joules
    low, high = (joules * (end or per_token) / per_token for end in (one.low, one.high))
    scale = _MILLION / J_PER_KWH
    return Interval(joules * scale, min(low, joules) * scale, max(high, joules) * scale, 0.95)


def memory_of(
    sweep: StoredRun, baseline: Sequence[TrialMetrics], lengths: Sequence[Lengths], others: Sequence[RunResult]
) -> KvDisplacement | NotMeasured:
    """The KV cache displaced: a dedicated run's, which has it by arm, else the sweep's own, else any other's."""
    said = [named for one in others if (named := _named(sweep, one)) is not None]
    dedicated = next((one for one in said if one.isolation == "dedicated"), None)
    if dedicated is not None:
        return dedicated
    found = displacement_of(sweep.manifest, (), baseline, lengths)
    return found if isinstance(found, KvDisplacement) else next(iter(said), found)


def _named(sweep: StoredRun, other: RunResult) -> KvDisplacement | None:
    """The other run's displacement, by the sweep's names of the arms with the same guards."""
    found = other.displacement
    if not isinstance(found, KvDisplacement):
        return None
    if ALL_GUARDS in found.arms:
        return found
    matched = match_arms(sweep.manifest, list(sweep.manifest["arms"]), other.run.manifest, list(found.arms))
    return replace(found, arms={mine: found.arms[its] for mine, its in matched.pairs}) if matched.pairs else None
