"""What a run of `profile` adds to a sweep: energy at its own load, and the KV cache that guards displace."""

from collections.abc import Sequence

from profiler.analysis.arm_resources import Energy as Measured
from profiler.analysis.displacement import KvDisplacement, Lengths, displacement_of
from profiler.analysis.metrics import TrialMetrics
from profiler.analysis.power_at_rate import J_PER_KWH
from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult
from profiler.capacity_plan.arm import Energy
from profiler.errors import UserError
from profiler.meters.not_measured import NotMeasured
from profiler.records.store import StoredRun
from profiler.report.text import printable

_MILLION = 1e6
_SAME = ("model", "device_name", "engine")


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


def energy_elsewhere(arm: str, others: Sequence[RunResult], why: str) -> Energy:
    """The arm's energy in the first run that measured it, at that run's load; `why` the sweep has none."""
    for other in others:
        found = other.arms.get(arm)
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
    said = [one.displacement for one in others if isinstance(one.displacement, KvDisplacement)]
    dedicated = next((one for one in said if one.isolation == "dedicated"), None)
    if dedicated is not None:
        return dedicated
    found = displacement_of(sweep.manifest, (), baseline, lengths)
    return found if isinstance(found, KvDisplacement) else next(iter(said), found)
