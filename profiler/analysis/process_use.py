"""CPU seconds and memory of a window by role, from the samples of its processes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from profiler.meters.roles import ROLES
from profiler.records.samples import Samples, Series

_MIB = 2.0**20


@dataclass(frozen=True)
class Memory:
    """MiB over a window. `steady` is the median over the window's later half."""

    peak: float
    steady: float


def cpu_s_by_role(samples: Samples) -> dict[str, float]:
    """CPU seconds of every role; they add up to those of the process tree.

    A process that ended in the window is known up to its last sample. What it used after that, and processes so
    short that no look met them, are in what its parent got for it when it waited (cutime of proc(5)): that rest goes to
    the role of the child that ended, or to that of the parent where none was seen ("other" under the driver).
    """
    processes: Sequence[Mapping[str, Any]] = samples.facts.get("processes", ())
    used: dict[str, float] = {}
    for process in processes:
        role, own = str(process["role"]), _grown(samples, process, "cpu_s")
        used[role] = used.get(role, 0.0) + own
        ended = [one for one in processes if one["ppid"] == process["pid"] and _ended(samples, one)]
        seen = sum(_total(samples, one) for one in ended)
        rest = _grown(samples, process, "reaped_s") - seen
        heir = str(ended[0]["role"]) if ended else "other" if role == "driver" else role
        used[heir] = used.get(heir, 0.0) + max(rest, 0.0)
    return {role: used[role] for role in ROLES if role in used}


def _ended(samples: Samples, process: Mapping[str, Any]) -> bool:
    """Whether it was gone when the window closed: the last look did not meet it."""
    last, root = (samples.series(f"process:{pid}", "cpu_s").t_ns for pid in (process["pid"], samples.facts["root"]))
    return bool(len(last) and len(root) and last[-1] < root[-1])


def _grown(samples: Samples, process: Mapping[str, Any], name: str) -> float:
    """What it used in the window; all that it ever used, if it was started in it."""
    value = samples.series(f"process:{process['pid']}", name).value
    if not len(value):
        return 0.0
    return float(value[-1] - (0.0 if process["born"] else value[0]))


def _total(samples: Samples, process: Mapping[str, Any]) -> float:
    """Its last known seconds with its ended children's, from its start on: what its parent gets for it, at least."""
    source = f"process:{process['pid']}"
    return sum(float(samples.series(source, name).value[-1]) for name in ("cpu_s", "reaped_s"))


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
