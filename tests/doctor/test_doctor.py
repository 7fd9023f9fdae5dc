"""`alignment-tax doctor`: made folder trees and injected clocks; what it prints is read as a user reads it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.doctor import Diagnosis, as_json, as_lines, noise_capability
from profiler.engines.vllm_attention import attention_backend
from profiler.meters.capability import Capability, absent
from profiler.meters.governor import governor
from profiler.meters.noise_floor import NoiseFloor, judgement, noise_floor, read_stat
from profiler.meters.not_measured import NotMeasured

MS = 1_000_000


def cores(root: Path, *governors: str) -> Path:
    for number, name in enumerate(governors):
        folder = root / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{name}\n")
    (root / "cpufreq").mkdir(exist_ok=True)  # the kernel has one beside the cores
    return root


def test_the_governor_of_every_core_is_read(tmp_path: Path) -> None:
    steady = governor(cores(tmp_path / "a", "performance", "performance"))
    assert steady == Capability("governor", "performance on 2 of 2 cores", True)
    mixed = governor(cores(tmp_path / "b", "powersave", "performance", "powersave"))
    assert mixed.able is False
    assert mixed.text.startswith("powersave on 2 of 3 cores, performance on 1 of 3 cores")
    assert "cpupower frequency-set -g performance" in mixed.cure
    nothing = governor(tmp_path / "c")
    assert nothing.able is None and "virtual machine" in nothing.text and not nothing.cure


class Machine:
    """A clock that goes on by what each unit of work takes, in the second that it falls in."""

    def __init__(self, ms_of: Callable[[int], int]) -> None:
        self.t_ns, self.ms_of = 0, ms_of

    def now_ns(self) -> int:
        return self.t_ns

    def work(self) -> None:
        self.t_ns += self.ms_of(self.t_ns // (1000 * MS)) * MS

    def floor(self, *stats: tuple[int, ...] | None, seconds: int = 10) -> NoiseFloor:
        told = iter(stats or (None, None))
        found = noise_floor(self.work, self.now_ns, seconds, lambda: next(told))
        assert isinstance(found, NoiseFloor)
        return found


def test_a_steady_machine_has_no_noise_and_an_unsteady_one_its_spread() -> None:
    steady = Machine(lambda second: 10).floor()
    assert (steady.spread, steady.detectable, steady.unit_ms) == (0.0, 0.0, 10.0)
    # 10 and 20 ms in turn: mean 15, standard deviation of ten such 5.27.
    unsteady = Machine(lambda second: 10 if second % 2 else 20).floor()
    assert unsteady.spread == pytest.approx(5.27 / 15, rel=0.01)
    assert unsteady.detectable == pytest.approx(unsteady.spread * (2 / 5) ** 0.5 * (2.776 + 0.941), rel=0.01)
    assert "not" not in judgement(unsteady) and "can tell a tax of about" in judgement(unsteady)


@given(st.lists(st.integers(1, 500), min_size=3, max_size=12))
def test_the_spread_is_never_negative_and_knows_no_unit(lengths: list[int]) -> None:
    found = Machine(lambda second: lengths[second % len(lengths)]).floor(seconds=len(lengths))
    assert found.spread >= 0 and found.detectable >= found.spread * 0.9


def test_stolen_time_is_a_share_of_all_cores_time(tmp_path: Path) -> None:
    file = tmp_path / "stat"
    file.write_text("cpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    before = read_stat(file)
    assert before == (100, 0, 50, 800, 10, 0, 0, 40)
    found = Machine(lambda second: 10).floor(before, (150, 0, 70, 920, 10, 0, 0, 50))
    assert found.steal == pytest.approx(10 / 200)
    assert found.busy == pytest.approx(70 / 200)
    assert "5.0 % stolen by the host" in judgement(found)
    assert read_stat(tmp_path / "none") is None
    assert "stolen" not in judgement(Machine(lambda second: 10).floor())


def test_a_clock_that_stands_still_is_no_measurement() -> None:
    assert noise_floor(lambda: None, lambda: 0, 3, lambda: None) == NotMeasured("the clock stands still")


@pytest.mark.parametrize(
    ("detectable", "steal", "able", "cure"),
    [(0.01, 0.0, True, ""), (0.2, 0.0, False, "taskset"), (0.2, 0.05, False, "the host takes time")],
)
def test_a_noisy_machine_is_told_what_to_do(detectable: float, steal: float, able: bool, cure: str) -> None:
    found = noise_capability(NoiseFloor(10.0, 10, detectable / 2, detectable, steal, 0.5))
    assert found.able is able and cure in found.cure


def test_lines_fit_and_the_cure_stands_under_what_it_cures() -> None:
    long = "x" * 30 + " and " + "why " * 40
    found = Diagnosis(
        {"cores": 2},
        (Capability("machine", "a\x1b[31m b"), absent("CPU energy", NotMeasured(long, "do " * 50))),
        NotMeasured("--no-noise"),
    )
    lines = list(as_lines(found))
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "machine        a?[31m b"
    assert lines[1].startswith("CPU energy NO  not measured: x")
    assert any(line.strip().startswith("cure: do") for line in lines)
    stored = json.loads(json.dumps(as_json(found)))
    assert stored["noise_floor"] is None
    assert stored["capabilities"][1]["able"] is False


def test_what_the_platform_cannot_say_shows_when_an_engine_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm.platforms", None)
    assert attention_backend({}).startswith("chosen when the engine starts (")
    assert attention_backend({"VLLM_ATTENTION_BACKEND": "TRITON_ATTN"}).startswith("TRITON_ATTN (VLLM_ATT")
