"""From meters to the report: a run that has none, one with made cards read back from disk, and one with idle power."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynvml
import pytest
from rich.console import Console

from guards.controls import Delay
from profiler.analysis.tax import RunResult, analyse
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.experiment import Bench, Experiment
from profiler.meters.meters import open_meters
from profiler.meters.process_meter import find_pss
from profiler.meters.recorder import Recorder
from profiler.plan import plan_trials
from profiler.profile import execute, manifest
from profiler.prompts import read_prompt_sets
from profiler.records.record import Outcome
from profiler.records.samples import beside
from profiler.records.store import StoredTrial, create_run, read_run, write_idle, write_stored
from profiler.report.as_json import to_json
from profiler.report.terminal import print_result
from profiler.scenario import MetersConfig, Scenario, load_scenario
from tests.analysis.made_trials import request, trial
from tests.meters.fake_nvml import Clock, FakeCard, FakeNvml
from tests.meters.windows import gpu_meter, window

ROOT = Path(__file__).parents[2]
FAST = ModelParameters(prefill_ns_per_token=1_000, step_base_ns=200_000, step_ns_per_sequence=1_000)


def printed(result: RunResult) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    print_result(result, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    return text


def run_here(tmp_path: Path, **meters: float) -> Path:
    """A run on the modelled engine in real time, with this machine's meters."""
    scenario = load_scenario(ROOT / "scenarios" / "quickstart.yaml").model_copy(
        update={"arms": {"delay": ["input"]}, "blocks": 2, "warmup_requests": 1, "meters": MetersConfig(**meters)}
    )

    async def run() -> Path:
        with open_meters(tmp_path / "no powercap") as found:
            bench, sets = Bench(ModelledEngine(FAST), {"input": Delay(2.0)}, found), read_prompt_sets(scenario)
            said = manifest(scenario, sets, bench)
            path = create_run(tmp_path, "r", {"id": "r", **said, "facts": {**said["facts"], "vllm_version": "-"}})
            await execute(Experiment(scenario, sets, bench, path), Console(file=io.StringIO()))
        return path

    return asyncio.run(run())


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)


def test_a_run_with_every_meter_absent_completes_and_names_each_absence_once(
    tmp_path: Path, no_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("profiler.meters.process_meter._pss_bytes", lambda pid: None)
    assert find_pss() is not None
    result = analyse(read_run(run_here(tmp_path)))
    text = " ".join(printed(result).split())
    absent = ("GPU energy, clocks, heat, memory (n/m): not measured: NVML", "CPU energy (n/m): not measured: no RAPL",
              "PSS (n/m): not measured: no /proc")  # fmt: skip
    assert [text.count(said) for said in absent] == [1, 1, 1]
    assert "J/token" not in text and " 0 W" not in text
    document = json.loads(json.dumps(to_json(result)))
    assert set(document["meters"]["not_measured"]) == {"gpu", "cpu_energy", "pss"}
    arm = document["arms"]["delay"]
    assert arm["metrics"]["energy_j_per_token"] is None
    assert arm["not_measured"]["energy_j_per_token"].startswith("NVML")
    assert arm["resources"]["energy"] == {} and arm["resources"]["pss"] == {}


def test_cpu_seconds_are_a_tax_without_any_power_meter(tmp_path: Path, no_gpu: None) -> None:
    result = analyse(read_run(run_here(tmp_path)))
    arm = result.arms["delay"]
    assert arm.resources is not None
    assert set(arm.resources.cpu_s_per_request) <= {"driver", "other"}
    assert arm.cpu_s_per_request == pytest.approx(sum(arm.resources.cpu_s_per_request.values()))
    assert {"cpu_s", "cpu_s.driver"} <= arm.tax.keys()
    assert "cpu_s.guard_workers" not in arm.tax
    shown = printed(result)
    assert "CPU ms/request" in shown and "  driver" in shown


def test_an_idle_window_is_stored_before_the_first_block(tmp_path: Path, no_gpu: None) -> None:
    path = run_here(tmp_path, idle_seconds=0.01, cooldown_seconds=0)
    assert (path / "idle.samples.parquet").is_file()
    assert len(read_run(path).sources) == 6
    assert read_run(path).damaged == ()


def metered_run(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float = 20.0, **card: Any) -> Path:
    """Four blocks on a made card: 100 W idle, the baseline at 300 W, the arm at 360 W; 20 requests of 50 tokens."""
    clock = Clock()
    watts = [(0.0, 100.0)]
    FakeNvml(monkeypatch, clock, FakeCard("GPU-a", watts, **card))
    meter = gpu_meter(clock)
    recorder = Recorder([meter], clock.now_ns)
    said = {
        "id": "g",
        "facts": {"model": "m", "device_name": "d", "vllm_version": "-"},
        "arms": ["none", "guard"],
        "scenario": {"meters": {"price_per_kwh": 0.36, "gco2e_per_kwh": 360.0}},
        "not_measured": {},
        "meters": {"gpus": meter.facts()["gpus"], "rapl": []},
    }
    run = create_run(folder, "g", said)
    write_idle(run, window(recorder, clock, 20.0))
    for planned in plan_trials(["none", "guard"], 4, seed=1):
        guarded = planned.arm != "none"
        # A block's own level, so that the blocks differ and their ratio does not.
        watts.append((clock.t_s, (360.0 if guarded else 300.0) + planned.block))
        blocked = {"outcome": Outcome.BLOCKED, "finish": "blocked"}
        records = [request(i, tokens=50, **(blocked if guarded and i < 2 else {})) for i in range(20)]
        records = [replace(r, label="harmful" if r.index < 4 else "benign") for r in records]
        made = trial(planned.index, planned.block, planned.arm, records, replicate=planned.replicate)
        write_stored(run, StoredTrial(made.info, made.table, window(recorder, clock, seconds)))
    return run


def test_energy_gross_and_net_by_token_request_and_harmful_prompt_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = analyse(read_run(metered_run(tmp_path, monkeypatch)))
    found = {name: arm.resources.energy["gpu"] for name, arm in result.arms.items() if arm.resources is not None}
    none, guard = found["none"], found["guard"]
    assert none.j_per_token == pytest.approx(301.5 * 20 / 1000, rel=0.01)
    assert none.net_j_per_token == pytest.approx(201.5 * 20 / 1000, rel=0.01)
    assert guard.j_per_request == pytest.approx(361.5 * 20 / 20, rel=0.01)
    assert none.j_per_harmful_blocked is None
    assert guard.j_per_harmful_blocked == pytest.approx(361.5 * 20 / 2, rel=0.01)
    assert none.average_w == pytest.approx(301.5, rel=0.01)
    assert none.peak_w == pytest.approx(303, abs=0.1)
    assert none.idle_w == pytest.approx(100, rel=0.01)
    # 6.03 J/token are 1.675 kWh a million tokens.
    assert none.cost == pytest.approx(0.603, rel=0.01)
    assert none.gco2e == pytest.approx(603, rel=0.01)
    assert none.low is not None and none.high is not None and none.j_per_token is not None
    assert none.low < none.j_per_token < none.high
    tax = result.arms["guard"].tax["energy_j_per_token"]
    assert tax.absolute == pytest.approx(60 * 20 / 1000, rel=0.03)
    assert tax.relative == pytest.approx(0.2, rel=0.05)
    text = printed(result)
    for row in ("GPU J/token, gross", "GPU J/token, net of idle", "GPU J/harmful blocked", "GPU cost/M tokens"):
        assert row in text
    assert "counter, moves every 100 ms" in " ".join(text.split())
    assert to_json(result)["arms"]["guard"]["resources"]["energy"]["gpu"]["idle_w"] == none.idle_w


def test_short_windows_and_a_lost_card_are_said_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = analyse(read_run(metered_run(tmp_path, monkeypatch, seconds=5.0, lost_at_s=60.0)))
    assert sum("vanished in mid-run" in warning for warning in result.warnings) == 1
    assert sum("energy windows of 5.0 s" in warning for warning in result.warnings) == 1
    arms = [arm.resources for arm in result.arms.values() if arm.resources is not None]
    assert [dict(arm.energy) for arm in arms] == [{}, {}]
    assert "GPU J/token, gross" not in printed(result)


def test_damaged_samples_are_named_and_left_out_and_the_trial_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = metered_run(tmp_path, monkeypatch)
    whole = analyse(read_run(run))
    victim = beside(run / "trials" / "0003.parquet")
    victim.write_bytes(victim.read_bytes()[:100])
    (run / "idle.samples.parquet").write_bytes(b"no parquet")
    result = analyse(read_run(run))
    assert any("0003.samples.parquet" in warning and "left out" in warning for warning in result.warnings)
    assert any("idle.samples.parquet" in warning for warning in result.warnings)
    assert {a: r.requests for a, r in result.arms.items()} == {a: r.requests for a, r in whole.arms.items()}
    with_figures = [name for name, arm in result.arms.items() if arm.resources is not None]
    assert len(with_figures) == 1
    energy = result.arms[with_figures[0]].resources.energy["gpu"]  # type: ignore[union-attr]
    assert energy.net_j_per_token is None and energy.j_per_token is not None


def test_a_run_without_samples_is_reported_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = metered_run(tmp_path, monkeypatch)
    for file in (run / "checksums.jsonl", *run.rglob("*.samples.parquet")):
        file.unlink()  # as runs of before there were samples
    result = analyse(read_run(run))
    assert all(arm.resources is None for arm in result.arms.values())
    assert not any("samples" in warning for warning in result.warnings)
    assert "What it cost the machine" not in printed(result)


@pytest.mark.parametrize(("key", "value"), [("idle_seconds", -1), ("price_per_kwh", "much"), ("price", 1)])
def test_a_mistake_in_the_meters_statement_is_refused(key: str, value: Any) -> None:
    raw = load_scenario(ROOT / "scenarios" / "quickstart.yaml").model_dump(mode="json")
    with pytest.raises(ValueError, match="meters"):
        Scenario.model_validate({**raw, "meters": {key: value}})
