"""CPU seconds and memory by role, of real processes that burn a set amount of CPU time."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest

from profiler.analysis.process_use import cpu_s_by_role, memory_by_role
from profiler.meters.process_meter import ProcessMeter
from profiler.meters.recorder import Recorder
from profiler.meters.roles import known_roles, role_of
from profiler.records.samples import Samples

# The kernel cuts what it tells of ended children to 10 ms, user and system apart, for each parent.
TICKS_S = 0.045
FORK = multiprocessing.get_context("fork")
BURN = "import time\nwhile time.process_time() < {}: sum(range(2000))"


def burn(cpu_s: float) -> None:
    """Use so much CPU time, however long that takes."""
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        sum(range(2000))


def serve(pipe: Connection) -> None:
    """Burn what is asked for, in a process of its own if asked, and tell the CPU seconds so far. 0 is the end."""
    while (asked := pipe.recv())[0] > 0:
        cpu_s, helper = asked
        if helper:
            child = FORK.Process(target=burn, args=(cpu_s,))
            child.start()
            child.join()
        else:
            burn(cpu_s)
        pipe.send(time.process_time())
    burn(asked[1])


class Child:
    """A process of a given name that burns when told."""

    def __init__(self, name: str) -> None:
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=serve, args=(theirs,), name=name, daemon=False)
        self.process.start()

    def burn(self, cpu_s: float, helper: bool = False) -> float:
        """CPU seconds that it has used in its life."""
        self.pipe.send((cpu_s, helper))
        return float(self.pipe.recv())

    def end(self, after_cpu_s: float = 0.0) -> None:
        self.pipe.send((0, after_cpu_s))
        self.process.join()


@contextmanager
def children(*names: str) -> Iterator[list[Child]]:
    found = [Child(name) for name in names]
    try:
        yield found
    finally:
        for child in found:
            if child.process.is_alive():
                child.process.kill()
            child.process.join()


def whole_tree_s() -> float:
    """This process and every child that it has waited for, by the kernel's own sum."""
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def recorded(engine: list[Child], work: Callable[[Recorder], None], tree_s: list[float] | None = None) -> Samples:
    """The window round `work`; `tree_s` gets the kernel's sums as the window opens and closes."""
    tree_s = [] if tree_s is None else tree_s
    meter = ProcessMeter()
    recorder = Recorder([meter])
    pids = tuple(child.process.pid or 0 for child in engine)
    meter.begin(known_roles(pids, multiprocessing.active_children()))
    recorder.begin()
    tree_s.append(whole_tree_s())
    try:
        work(recorder)
        tree_s.append(whole_tree_s())
        meter.learn(known_roles(pids, multiprocessing.active_children()))
        return recorder.end()
    finally:
        meter.close()


def look(recorder: Recorder) -> None:
    """As the sampler does in a second: ten fast looks and a slow one."""
    for _ in range(10):
        recorder.sweep()


def test_roles_add_up_to_the_tree_with_processes_that_end_in_the_window() -> None:
    def work(recorder: Recorder) -> None:
        core.burn(0.3)
        core.burn(0.2, helper=True)  # a worker that no look meets
        worker.burn(0.3)
        burn(0.15)
        late.burn(0.2)
        look(recorder)
        late.end(after_cpu_s=0.25)  # burns on after its last look
        look(recorder)
        subprocess.run([sys.executable, "-c", BURN.format(0.2)], check=True)
        look(recorder)
        for child in (core, worker):
            child.end()
        found.append(Child("guard-worker-again"))
        alive_s.append(found[-1].burn(0.1))

    alive_s: list[float] = []
    tree_s: list[float] = []
    with children("EngineCore", "guard-worker", "guard-worker-2") as found:
        core, worker, late = found
        # From before the window: what a child used by then is not the window's.
        # The kernel sums a child when it is waited for, with what it used before.
        before_s = core.burn(0.2) + worker.burn(0.1) + late.burn(0.01)
        samples = recorded([core], work, tree_s)
        truth_s = tree_s[1] - tree_s[0] + alive_s[0] - before_s
    used = cpu_s_by_role(samples)
    assert sum(used.values()) == pytest.approx(truth_s, rel=0.02, abs=TICKS_S)
    # Starting the helper costs it CPU time too, the more the busier the machine; the helper itself would be 0.2.
    assert used["engine_core"] == pytest.approx(0.3, abs=0.15)
    assert used["engine_workers"] == pytest.approx(0.2, abs=0.1)
    assert used["guard_workers"] == pytest.approx(0.3 + 0.2 + 0.25 + 0.1, abs=0.08)
    assert used["other"] >= 0.2 - TICKS_S
    assert used["driver"] >= 0.15


def test_a_worker_of_the_engine_that_is_seen_has_its_own_role() -> None:
    def work(recorder: Recorder) -> None:
        core.pipe.send((0.3, True))
        while not multiprocessing_children(core.process.pid or 0):
            time.sleep(0.001)
        look(recorder)
        core.pipe.recv()

    with children("EngineCore") as (core,):
        used = cpu_s_by_role(recorded([core], work))
    assert used["engine_workers"] == pytest.approx(0.3, abs=0.1)
    assert used["engine_core"] < 0.2


def test_a_parent_that_ends_right_after_its_child_is_not_counted_twice() -> None:
    def work(recorder: Recorder) -> None:
        core.pipe.send((0.5, True))
        while not multiprocessing_children(core.process.pid or 0):
            time.sleep(0.001)
        for _ in range(20):
            time.sleep(0.01)
            look(recorder)  # the worker is known with much of its seconds
        core.pipe.recv()
        core.end()  # no look meets the core between its worker's end and its own

    tree_s: list[float] = []
    with children("EngineCore") as (core,):
        before_s = core.burn(0.01)
        used = cpu_s_by_role(recorded([core], work, tree_s))
        truth_s = tree_s[1] - tree_s[0] - before_s
    assert sum(used.values()) == pytest.approx(truth_s, rel=0.02, abs=TICKS_S)


def multiprocessing_children(pid: int) -> str:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().strip()


def test_a_killed_child_that_nobody_waits_for_keeps_its_seconds() -> None:
    def work(recorder: Recorder) -> None:
        worker.burn(0.3)
        os.kill(worker.process.pid or 0, signal.SIGKILL)

    with children("guard-worker") as (worker,):
        used = cpu_s_by_role(recorded([], work))
    assert used["guard_workers"] == pytest.approx(0.3, abs=0.05)


def test_memory_of_a_process_that_ends_is_in_the_peak_and_not_in_the_end() -> None:
    def work(recorder: Recorder) -> None:
        big = subprocess.Popen([sys.executable, "-c", "x = bytearray(b'1') * (200 << 20); print(flush=True); input()"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        assert big.stdout is not None
        big.stdout.readline()
        look(recorder)
        big.communicate(b"\n")
        for _ in range(5):
            look(recorder)

    samples = recorded([], work)
    found = memory_by_role(samples, "rss_bytes")
    assert found["other"].peak > 200
    assert found["all"].peak >= found["driver"].peak + 200
    assert found["all"].steady < found["all"].peak - 190


def test_pss_shares_pages_out_and_rss_does_not() -> None:
    held = bytearray(b"1") * (100 << 20)
    with children("guard-worker", "guard-worker"):
        samples = recorded([], look)
    rss, pss = (memory_by_role(samples, name) for name in ("rss_bytes", "pss_bytes"))
    assert len(held) == 100 << 20
    # Two forks share the 100 MiB with us: counted three times, or once.
    assert rss["all"].peak - pss["all"].peak > 190


@pytest.mark.parametrize(
    ("pid", "role"),
    [(1, "driver"), (2, "engine_core"), (3, "engine_workers"), (4, "engine_workers"), (5, "guard_workers"),
     (6, "guard_workers"), (7, "other"), (8, "guard_engines"), (9, "guard_engines")],
)  # fmt: skip
def test_the_role_of_a_process_comes_from_its_nearest_known_ancestor(pid: int, role: str) -> None:
    parents = {1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 6: 5, 7: 1, 8: 1, 9: 8}
    assert role_of(pid, parents, {2: "engine_core", 5: "guard_workers", 8: "guard_engines"}, 1) == role


def test_a_vllm_that_is_not_the_generators_is_a_guards() -> None:
    with children("EngineCore", "EngineCore", "guard-worker", "burner", "mine") as found:
        pids = [child.process.pid or 0 for child in found]
        roles = known_roles((pids[0], 1234), multiprocessing.active_children())
    assert [roles.get(pid) for pid in pids] == ["engine_core", "guard_engines", "guard_workers", "guard_workers", None]
    assert roles[1234] == "engine_workers"
