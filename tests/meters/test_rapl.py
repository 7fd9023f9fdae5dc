"""RAPL on a folder made like the kernel's."""

from pathlib import Path

import pytest

from profiler.analysis.energy import cpu_energy
from profiler.meters.not_measured import NotMeasured
from profiler.meters.rapl import RaplMeter, find_rapl
from profiler.meters.recorder import Recorder
from tests.meters.fake_nvml import Clock

WRAPS_AT_UJ = 262_143_328_850


def zone(powercap: Path, place: str, name: str, energy_uj: int = 0) -> Path:
    folder = powercap / place
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{WRAPS_AT_UJ}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    return folder / "energy_uj"


def measured(powercap: Path, *steps: dict[Path, int]) -> float:
    meter = find_rapl(powercap)
    assert isinstance(meter, RaplMeter)
    clock = Clock()
    recorder = Recorder([meter], clock.now_ns)
    recorder.begin()
    for step in steps:
        for path, energy_uj in step.items():
            path.write_text(str(energy_uj))
        clock.pause(0.1)
        recorder.sweep()
    found = cpu_energy(recorder.end())
    assert found is not None
    return sum(one.joules for one in found)


def test_packages_and_their_memory_are_added_and_nothing_that_lies_inside_or_around(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    other = zone(tmp_path, "intel-rapl:1", "package-1")
    memory = zone(tmp_path, "intel-rapl:0:1", "dram")
    inside = [zone(tmp_path, "intel-rapl:0:0", "core"), zone(tmp_path, "intel-rapl:0:2", "uncore")]
    around = zone(tmp_path, "intel-rapl:2", "psys")
    twice = zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    step = {package: 8_000_000, other: 2_000_000, memory: 500_000, around: 90_000_000, twice: 8_000_000}
    assert measured(tmp_path, step | dict.fromkeys(inside, 7_000_000)) == pytest.approx(5.5)


def test_a_counter_that_begins_again_has_lost_nothing(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", WRAPS_AT_UJ - 3_000_000)
    steps = ({package: WRAPS_AT_UJ - 1_000_000}, {package: 4_000_000}, {package: 5_000_000})
    assert measured(tmp_path, *steps) == pytest.approx(8.0)


def test_a_counter_without_the_right_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, whole = zone(tmp_path, "intel-rapl:0", "package-0"), Path.read_bytes

    # The tests may run as root, whom the kernel does not refuse.
    def refused(path: Path) -> bytes:
        if path == package:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    found = find_rapl(tmp_path)
    assert isinstance(found, NotMeasured)
    assert "sudo chmod a+r" in found.line


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    found = find_rapl(tmp_path / "none")
    assert isinstance(found, NotMeasured)
    assert "no RAPL counter" in found.line


def test_a_zone_that_goes_away_leaves_no_figure(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0")
    meter = find_rapl(tmp_path)
    assert isinstance(meter, RaplMeter)
    clock = Clock()
    recorder = Recorder([meter], clock.now_ns)
    recorder.begin()
    package.unlink()
    clock.pause(0.1)
    recorder.sweep()
    assert cpu_energy(recorder.end()) is None
