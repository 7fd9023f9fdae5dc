"""Memory by role of every arm, and what the guards' share of it takes from the KV pool."""

from collections.abc import Mapping
from dataclasses import dataclass

from profiler.analysis.displacement import KvDisplacement
from profiler.analysis.tax import ArmResult, RunResult


@dataclass(frozen=True)
class MemoryBar:
    """One arm's steady memory in MiB by role, which add up to what its processes hold."""

    arm: str
    mib: Mapping[str, float]


@dataclass(frozen=True)
class MemoryBars:
    """`what` was counted: "PSS", "GPU memory", or "RSS, peak" where roles are not told apart. Empty: not measured."""

    what: str
    bars: tuple[MemoryBar, ...]


def memory_bars(result: RunResult) -> tuple[MemoryBars, ...]:
    """The host's memory, and the cards' where there are any."""
    arms = list(result.arms.values())
    found = [MemoryBars("PSS", _bars(arms, "pss")), MemoryBars("GPU memory", _bars(arms, "device"))]
    if not found[0].bars:
        known = tuple(MemoryBar(a.name, {"all": a.peak_memory_mib}) for a in arms if a.peak_memory_mib is not None)
        found[0] = MemoryBars("RSS, peak", known)
    return tuple(one for one in found if one.bars)


def displaced(result: RunResult) -> KvDisplacement | str:
    """What the guards take from the KV pool, or why that was not measured."""
    found = result.displacement
    if isinstance(found, KvDisplacement):
        return found if found.arms else "no arm has guards in memory of their own"
    return "not derived" if found is None else found.line


def _bars(arms: list[ArmResult], kind: str) -> tuple[MemoryBar, ...]:
    found = []
    for arm in arms:
        memory = {} if arm.resources is None else getattr(arm.resources, kind)
        roles = {role: one.steady for role, one in memory.items() if role not in ("all", "card")}
        if not roles and "card" in memory:
            roles = {"all": memory["card"].steady}
        if any(roles.values()):
            found.append(MemoryBar(arm.name, roles))
    return tuple(found)
