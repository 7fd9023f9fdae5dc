"""`alignment-tax calibrate --modelled`: what a user sees, from a few small repeats."""

from pathlib import Path

import pytest
from rich.console import Console

from profiler.calibration.modelled import ModelledCalibration, pool
from profiler.calibration.modelled_run import BURNER, DOUBLER, Setting
from profiler.calibration.repeat import run_repeat
from profiler.cli import main
from profiler.prompts import read_prompt_sets
from profiler.report.calibration import modelled_json, print_modelled
from profiler.scenario import load_scenario


@pytest.fixture(scope="module")
def found() -> ModelledCalibration:
    scenario = load_scenario(Path(__file__).parents[2] / "scenarios" / "quickstart.yaml")
    setting = Setting(scenario.model_copy(update={"blocks": 3}), read_prompt_sets(scenario), small_ms=12.0)
    truth = {(arm, metric): 0.0 for arm in (BURNER, DOUBLER) for metric in ("ttft_ms", "e2el_ms")}
    return pool([run_repeat(setting, truth, seed) for seed in range(1, 4)], 3, 240.0)


def test_delays_are_recovered_and_the_small_tax_is_found(found: ModelledCalibration) -> None:
    recovered = {(one.control, one.metric): one.recovered for one in found.controls}
    assert recovered["delay", "ttft_ms"] == pytest.approx(20.0, abs=3.0)
    assert recovered["chunk-delay", "e2el_ms"] == pytest.approx(5.0, abs=1.0)
    assert found.power_direct.estimate == 1.0
    # The doubler was said to cost nothing: no interval may hold that.
    wrong = next(one for one in found.controls if (one.control, one.metric) == ("doubler", "e2el_ms"))
    assert wrong.coverage.estimate == 0.0


def test_json_has_the_bars(found: ModelledCalibration) -> None:
    data = modelled_json(found)
    for key in ("coverage", "false_positive_rate", "power_ttft_5pct"):
        assert 0 <= data[key] <= 1


def test_the_table_fits_80_columns(found: ModelledCalibration) -> None:
    console = Console(width=80, record=True, quiet=False)
    print_modelled(found, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "doubler" in text and "bar: 93 to 97 %" in text


@pytest.mark.parametrize("flags", [("--repeats", "0"), ("--blocks", "1")])
def test_a_mistake_is_one_line(flags: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--modelled", *flags]) == 2
    assert flags[0] in capsys.readouterr().err
