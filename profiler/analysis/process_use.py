"""CPU seconds and memory of a window by role, from the samples of its processes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from profiler.meters.roles import ROLES
from profiler.records.samples import Floats, Samples, Series

_MIB = 2.0**20
# What the kernel tells of ended children is cut to whole ticks of 10 ms, user and system apart.
_TICKS_S = 0.04


@dataclass(frozen=True)
class Memory:
    """MiB over a window. `steady` is the median over the window's later half."""

    peak: float
    steady: float


def cpu_s_by_role(samples: Samples) -> dict[str, float]:
    """CPU seconds of every role; they add up to those of the process tree.

    A process that ended in the window is known up to its last sample. What it used after that, and processes so
    short that no look met them, are in what its parent got for it when it waited (cutime of proc(5)): that rest goes to
    the role of the child that ended then, or to the parent's where none was seen ("other" under the driver).
    """
    processes: Sequence[Mapping[str, Any]] = samples.facts.get("processes", ())
    used: dict[str, float] = {}
    for process in processes:
        role = str(process["role"])
        used[role] = used.get(role, 0.0) + _grown(samples, process, "cpu_s")
    for role, rest in _rests(samples, processes):
        used[role] = used.get(role, 0.0) + rest
    return {role: used[role] for role in ROLES if role in used}


def _rests(samples: Samples, processes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """What each process got for ended children beyond what is known of them, and the role that it belongs to."""
    children: dict[int, list[Mapping[str, Any]]] = {}
    for process in processes:
        children.setdefault(process["ppid"], []).append(process)
    last_ns = int(samples.series(f"process:{samples.facts.get('root')}", "cpu_s").t_ns.max(initial=0))
    # Known seconds of ended processes, with those of their children whose end they did not live to tell.
    known: dict[int, float] = {}
    for process in _children_first(processes):
        reaped = samples.series(_source(process), "reaped_s")
        rests = np.diff(reaped.value, prepend=0.0 if process["born"] else reaped.value[:1])
        roles, untold_s = dict[int, str](), 0.0
        for child in children.get(process["pid"], ()):
            ended_ns = int(samples.series(_source(child), "cpu_s").t_ns.max(initial=0))
            known_s = known.get(child["pid"], 0.0)
            if not 0 < ended_ns < last_ns:
                continue
            place = _place(reaped, rests, ended_ns, known_s)
            if place is None:
                untold_s += known_s
            else:
                rests[place] -= known_s
                roles.setdefault(place, str(child["role"]))
        known[process["pid"]] = _total(samples, process) + untold_s
        # Most looks find nothing: one of them stands for all.
        if len(rests) > len(roles):
            yield _heir(process), 0.0
        for place in np.flatnonzero(rests).tolist():
            yield roles.get(place, _heir(process)), float(rests[place])


def _children_first(processes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The deepest first."""
    parents = {int(process["pid"]): int(process["ppid"]) for process in processes}

    def depth(pid: int) -> int:
        found, at = 0, pid
        # A pid may be used again: no more steps than there are processes.
        while at in parents and found < len(parents):
            found, at = found + 1, parents[at]
        return found

    return sorted(processes, key=lambda process: -depth(int(process["pid"])))


def _place(reaped: Series, rests: Floats, ended_ns: int, known_s: float) -> int | None:
    """Between which looks at the parent it was waited for: after its own last look, or one later."""
    at = int(np.searchsorted(reaped.t_ns, ended_ns, side="right"))
    return next((i for i in (at, at + 1) if i < len(rests) and rests[i] >= known_s - _TICKS_S), None)


def _heir(process: Mapping[str, Any]) -> str:
    """The role of a child that no look met."""
    role = str(process["role"])
    return "other" if role == "driver" else "engine_workers" if role == "engine_core" else role


def _source(process: Mapping[str, Any]) -> str:
    return f"process:{process['pid']}"


def _grown(samples: Samples, process: Mapping[str, Any], name: str) -> float:
    """What it used in the window; all that it ever used, if it was started in it."""
    value = samples.series(f"process:{process['pid']}", name).value
    if not len(value):
        return 0.0
    return float(value[-1] - (0.0 if process["born"] else value[0]))


def _total(samples: Samples, process: Mapping[str, Any]) -> float:
    """Its last known seconds with its ended children's, from its start on: what its parent gets for it, at least."""
    series = (samples.series(_source(process), name).value for name in ("cpu_s", "reaped_s"))
    return sum(float(value[-1]) for value in series if len(value))


def memory_by_role(samples: Samples, name: str) -> dict[str, Memory]:
    """`rss_bytes` or `pss_bytes` by role, and "all" of them; empty where it was not measured."""
    series: dict[str, list[Series]] = {}
    for process in samples.facts.get("processes", ()):
        one = samples.series(f"process:{process['pid']}", name)
        if len(one.value):
            series.setdefault(str(process["role"]), []).append(one)
            series.setdefault("all", []).append(one)
    return {role: _memory(series[role]) for role in (*ROLES, "all") if role in series}


def device_memory(samples: Samples) -> dict[str, Memory]:
    """Device memory of the run's processes by role and of "all"; "card" is what all processes of the cards hold."""
    roles = {str(process["pid"]): str(process["role"]) for process in samples.facts.get("processes", ())}
    series: dict[str, list[Series]] = {}
    for gpu in samples.facts.get("gpus", ()):
        for pid, one in samples.named(str(gpu["source"]), "memory_bytes:").items():
            if pid != "foreign":
                series.setdefault(roles.get(pid, "other"), []).append(one)
                series.setdefault("all", []).append(one)
        used = samples.series(str(gpu["source"]), "memory_used_bytes")
        if len(used.value):
            series.setdefault("card", []).append(used)
    return {role: _memory(series[role]) for role in (*ROLES, "all", "card") if role in series}


@dataclass(frozen=True)
class CardMemory:
    """MiB in use on a card, by all; and by the run's processes but the engine's, None where NVML names none of them."""

    used: float
    beside_engine: float | None


def cards(samples: Samples) -> dict[str, CardMemory]:
    """Steady memory of each card, in the order in which CUDA counts them."""
    roles = {str(process["pid"]): str(process["role"]) for process in samples.facts.get("processes", ())}
    found: dict[str, CardMemory] = {}
    for source in (str(gpu["source"]) for gpu in samples.facts.get("gpus", ())):
        used = samples.series(source, "memory_used_bytes")
        mine = {pid: one for pid, one in samples.named(source, "memory_bytes:").items() if pid != "foreign"}
        guards = [one for pid, one in mine.items() if not roles.get(pid, "other").startswith("engine_")]
        if len(used.value):
            held = _memory(guards).steady if guards else 0.0
            found[source] = CardMemory(_memory([used]).steady, held if mine else None)
    return found


def _memory(parts: Iterable[Series]) -> Memory:
    """Of the sum over processes (or cards), each of which is sampled at its own times and holds its value between."""
    parts = tuple(parts)
    t_ns = np.unique(np.concatenate([part.t_ns for part in parts]))
    total = np.sum([_held(part, t_ns) for part in parts], axis=0) / _MIB
    later = total[t_ns >= (t_ns[0] + t_ns[-1]) / 2]
    return Memory(float(total.max()), float(np.median(later)))


def _held(part: Series, t_ns: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Its value at these times: the last sample's, 0 before the first and once others are sampled after its last."""
    at = np.searchsorted(part.t_ns, t_ns, side="right") - 1
    value = np.where(at >= 0, part.value[np.maximum(at, 0)], 0.0)
    gap_ns = np.diff(part.t_ns).max(initial=0)
    # A process that has ended holds nothing; a device that is read once a second does.
    return np.where(t_ns > part.t_ns[-1] + gap_ns, 0.0, value)
