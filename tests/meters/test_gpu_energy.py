"""Joules and the state of GPUs from traces of made cards: counter steps, heat, a card that vanishes, an old one."""

import pynvml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.analysis.energy import gpu_energy
from profiler.analysis.meter_warnings import meter_warnings
from profiler.analysis.process_use import device_memory
from profiler.analysis.resources import readings_of, resources_of
from profiler.meters.gpu_readings import POWER_INSTANT, POWER_USAGE
from profiler.meters.meters import absences, gpu_warnings
from profiler.meters.not_measured import NotMeasured
from profiler.meters.recorder import Recorder
from profiler.records.samples import Samples
from tests.meters.fake_nvml import Clock, FakeCard, FakeNvml
from tests.meters.windows import gpu_meter, window

SAWTOOTH = [(0.0, 70.0), (4.0, 500.0), (9.05, 120.0), (15.5, 640.0), (19.0, 300.0)]


def recorded(monkeypatch: pytest.MonkeyPatch, *cards: FakeCard, seconds: float = 20.0) -> Samples:
    clock = Clock()
    FakeNvml(monkeypatch, clock, *cards)
    return window(Recorder([gpu_meter(clock)], clock.now_ns), clock, seconds)


def test_counter_and_integral_agree_over_20_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    (energy,) = gpu_energy(recorded(monkeypatch, FakeCard("GPU-a", SAWTOOTH))) or ()
    assert energy.counter_j is not None and energy.integral_j is not None
    assert energy.counter_j / energy.integral_j == pytest.approx(1, abs=0.03)
    assert energy.joules == energy.counter_j
    assert energy.peak_w == pytest.approx(640, abs=0.1)


@settings(max_examples=20, deadline=None)
@given(begin_s=st.floats(0, 3), seconds=st.floats(1, 12))
def test_the_truth_lies_within_the_counters_steps(begin_s: float, seconds: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock, card = Clock(), FakeCard("GPU-a", [(0.0, 333.0)])
        FakeNvml(monkeypatch, clock, card)
        recorder = Recorder([gpu_meter(clock)], clock.now_ns)
        clock.pause(begin_s)
        began_s = clock.t_s
        (energy,) = gpu_energy(window(recorder, clock, seconds)) or ()
        truth = card.joules(clock.t_s) - card.joules(began_s)
        assert energy.low - 0.1 <= truth <= energy.high + 0.1
        # One step at each end and no more.
        assert energy.high - energy.low <= 2 * 333 * 0.1 * 1.1


def test_the_drivers_update_periods_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = recorded(monkeypatch, FakeCard("GPU-a")).facts["gpus"][0]
    assert gpu["update_period_s"]["energy_j"] == pytest.approx(0.1, rel=0.05)
    assert gpu["update_period_s"]["power_w"] == pytest.approx(0.02, rel=0.1)
    assert gpu["power_source"] == POWER_INSTANT


def test_counter_and_integral_that_differ_by_more_than_3_percent_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = resources_of(recorded(monkeypatch, FakeCard("GPU-a", counter_scale=1.05)))
    (warning,) = meter_warnings({}, [wrong, wrong])
    assert warning.startswith("gpu0: the energy counter is 105")
    right = resources_of(recorded(monkeypatch, FakeCard("GPU-a", counter_scale=1.02)))
    assert meter_warnings({}, [right]) == ()


def test_a_short_window_says_what_it_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    (warning,) = meter_warnings({}, [resources_of(recorded(monkeypatch, FakeCard("GPU-a"), seconds=5.0))])
    assert "energy windows of 5.0 s" in warning
    assert "up to 2.0%" in warning


def test_an_old_card_has_the_integral_alone_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    card = FakeCard("GPU-a", [(0.0, 200.0)], counter=False, instant=False)
    FakeNvml(monkeypatch, clock, card)
    meter = gpu_meter(clock)
    assert "gpu0 energy_j" in absences(meter, NotMeasured("none"))
    assert any("no energy counter" in text for text in gpu_warnings(meter))
    samples = window(Recorder([meter], clock.now_ns), clock, 20.0)
    (energy,) = gpu_energy(samples) or ()
    assert energy.counter_j is None
    assert energy.joules == energy.integral_j == pytest.approx(4000, rel=0.001)
    assert samples.facts["gpus"][0]["power_source"] == POWER_USAGE
    assert meter_warnings({}, [resources_of(samples)]) == ()


def test_a_card_that_vanishes_has_no_energy_from_then_on_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    FakeNvml(monkeypatch, clock, FakeCard("GPU-a", lost_at_s=28.0), FakeCard("GPU-b"))
    recorder = Recorder([gpu_meter(clock)], clock.now_ns)
    clock.t_ns = 0
    trials = [resources_of(window(recorder, clock, 20.0)) for _ in range(3)]
    assert [trial.gpu_energy is None for trial in trials] == [False, True, True]
    assert trials[1].joules() == {}
    (said,) = meter_warnings({}, trials)
    assert said.startswith("gpu0 vanished in mid-run: ")


def test_a_failure_for_once_is_a_sample_less(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, card = Clock(), FakeCard("GPU-a")
    FakeNvml(monkeypatch, clock, card)
    meter, whole = gpu_meter(clock), pynvml.nvmlDeviceGetTotalEnergyConsumption

    def sometimes(handle: FakeCard) -> int:
        if round(clock.t_s * 10) % 7 == 3:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        return int(whole(handle))

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", sometimes)
    (energy,) = gpu_energy(window(Recorder([meter], clock.now_ns), clock, 20.0)) or ()
    assert energy.joules == pytest.approx(2000, rel=0.02)


@pytest.mark.parametrize(
    ("reason", "throttled"),
    [
        (0, False),
        (pynvml.nvmlClocksThrottleReasonGpuIdle, False),
        (pynvml.nvmlClocksThrottleReasonSwPowerCap, False),
        (pynvml.nvmlClocksThrottleReasonSwThermalSlowdown, True),
        (pynvml.nvmlClocksThrottleReasonHwSlowdown, True),
        (pynvml.nvmlClocksThrottleReasonHwThermalSlowdown, True),
        (pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown, True),
    ],
)
def test_a_short_slowdown_in_the_middle_of_a_window_is_seen(
    reason: int, throttled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = FakeCard("GPU-b", reasons=lambda t_s: reason if 11.0 < t_s < 11.3 else 0)
    samples = recorded(monkeypatch, FakeCard("GPU-a"), hot)
    assert readings_of(samples).throttled is throttled


def test_the_energy_of_two_cards_is_summed_and_each_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = recorded(monkeypatch, FakeCard("GPU-a", [(0.0, 100.0)]), FakeCard("GPU-b", [(0.0, 300.0)]))
    found = resources_of(samples)
    assert [one.source for one in found.gpu_energy or ()] == ["gpu0", "gpu1"]
    assert readings_of(samples).energy_j == pytest.approx(8000, rel=0.02)
    assert found.gpus[0].temperature_peak_c == 61
    assert found.gpus[0].sm_clock_mhz == 1980


def test_a_card_that_did_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = recorded(monkeypatch, FakeCard("GPU-a"), FakeCard("GPU-b", percent=0))
    (warning,) = meter_warnings({}, [resources_of(samples)])
    assert warning.startswith("gpu1 did nothing")


def test_device_memory_is_told_by_the_runs_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, mib = Clock(), 2**20
    FakeNvml(monkeypatch, clock, FakeCard("GPU-a", processes={10: 3000 * mib, 11: 500 * mib, 99: 50 * mib}))
    samples = window(Recorder([gpu_meter(clock, {10, 11})], clock.now_ns), clock, 5.0)
    samples.facts["processes"] = [{"pid": 10, "role": "engine_core"}, {"pid": 11, "role": "guard_workers"}]
    found = device_memory(samples)
    assert {role: memory.peak for role, memory in found.items()} == {
        "engine_core": 3000,
        "guard_workers": 500,
        "all": 3500,
        "card": 4096,
    }


def test_of_a_mig_slice_memory_is_its_own_and_energy_the_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    FakeNvml(monkeypatch, clock, FakeCard("GPU-a", slices=("MIG-a",), processes={10: None}))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a")
    meter = gpu_meter(clock, {10})
    samples = window(Recorder([meter], clock.now_ns), clock, 20.0)
    assert readings_of(samples).energy_j == pytest.approx(2000, rel=0.02)
    assert {role: memory.peak for role, memory in device_memory(samples).items()} == {"card": 1024}
    assert any("MIG slice: energy" in text and "whole card's" in text for text in gpu_warnings(meter))
