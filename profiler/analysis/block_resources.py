"""A block's resource figures of one arm: what is compared between arms beside latency and throughput."""

from collections.abc import Sequence

from profiler.analysis.metrics import TrialMetrics
from profiler.analysis.resources import TrialResources
from profiler.meters.roles import ROLES

BY_ROLE = "cpu_s."
J_PER_TOKEN = {"gpu": "energy_j_per_token", "cpu": "cpu_energy_j_per_token"}


def resource_figures(trials: Sequence[TrialMetrics]) -> dict[str, float | None]:
    """J/token of GPU and CPU, CPU seconds a trial by role, steady host memory, device memory; None if not measured.

    A role that none of these trials had used no CPU: 0, where roles are known at all.
    """
    known = [t.resources for t in trials if t.resources is not None]
    if len(known) < len(trials):
        # Runs from before the samples have their GPUs' energy all the same.
        return {J_PER_TOKEN["gpu"]: _per_token([t.energy_j for t in trials], trials)}
    return {
        **{key: _per_token([one.joules().get(name) for one in known], trials) for name, key in J_PER_TOKEN.items()},
        **{f"{BY_ROLE}{role}": mean([_cpu_s(one, role) for one in known]) for role in ROLES},
        "pss_steady_mib": mean([one.pss["all"].steady if one.pss else None for one in known]),
        "device_memory_mib": mean([_device_mib(one) for one in known]),
    }


def _per_token(joules: Sequence[float | None], trials: Sequence[TrialMetrics]) -> float | None:
    known, tokens = [j for j in joules if j is not None], sum(t.output_tokens for t in trials)
    return sum(known) / tokens if len(known) == len(joules) and tokens else None


def _cpu_s(one: TrialResources, role: str) -> float | None:
    return one.cpu_s.get(role, 0.0) if one.cpu_s else None


def _device_mib(one: TrialResources) -> float | None:
    """Of the run's processes; of all that the cards hold where the driver does not tell them apart."""
    found = one.device.get("all", one.device.get("card"))
    return None if found is None else found.peak


def mean(readings: Sequence[float | None]) -> float | None:
    """Mean over trials; None where one of them has no reading."""
    known = [reading for reading in readings if reading is not None]
    return sum(known) / len(known) if len(known) == len(readings) else None
