"""What a process of the run is for. CPU seconds and memory are told apart by it."""

from collections.abc import Iterable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import Literal, get_args

Role = Literal["driver", "engine_core", "engine_workers", "guard_workers", "guard_engines", "other"]
ROLES: tuple[Role, ...] = get_args(Role)
_GUARD_NAMES = ("guard", "burner")  # the burner is a guard of the calibration
_ENGINE_NAMES = ("EngineCore", "VllmWorker", "VLLM")


def known_roles(engine_pids: Sequence[int], children: Iterable[BaseProcess]) -> dict[int, Role]:
    """The roles that are known: by the engine's own pids, and by the names of our child processes.

    An engine's child of ours is its core; whatever else it names are its workers. A vLLM that is not the
    generator's is a guard's.
    """
    children = tuple(children)
    ours = {child.pid for child in children}
    roles: dict[int, Role] = {pid: "engine_core" if pid in ours else "engine_workers" for pid in engine_pids}
    for child in children:
        if child.pid is None or child.pid in roles:
            continue
        if child.name.startswith(_GUARD_NAMES):
            roles[child.pid] = "guard_workers"
        elif child.name.startswith(_ENGINE_NAMES):
            roles[child.pid] = "guard_engines"
    return roles


def role_of(pid: int, parents: Mapping[int, int], known: Mapping[int, Role], root: int) -> Role:
    """A process's role: its own, or what its nearest ancestor of known role makes it.

    What a core starts are its workers. A child of the driver that nobody knows is "other".
    """
    at, seen = pid, set[int]()
    while at not in known and at != root and at in parents and at not in seen:
        seen.add(at)
        at = parents[at]
    if at == root:
        return "driver" if pid == root else "other"
    if (role := known.get(at, "other")) == "engine_core" and at != pid:
        return "engine_workers"
    return role
