"""Sequential stopping: blocks are added until every arm's tax is known narrowly enough, or time is up."""

import asyncio
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from guards.controls import Delay
from profiler.analysis.metrics import TrialMetrics
from profiler.analysis.tax import analyse
from profiler.analysis.until import looked
from profiler.cli import main
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.experiment import Bench, Experiment
from profiler.meters.meters import open_meters
from profiler.profile import execute
from profiler.prompts import read_prompt_sets
from profiler.records.store import create_run, read_run
from profiler.report.more import more_json, print_more
from profiler.scenario import BASELINE, Scenario, UntilConfig, load_scenario

ROOT = Path(__file__).parents[2]
# Steps of 0.2 ms: a trial takes milliseconds of real time.
FAST = ModelParameters(prefill_ns_per_token=1_000, step_base_ns=200_000, step_ns_per_sequence=1_000)


def trial(arm: str, block: int, replicate: int, e2el_ms: float, tpot: bool = True) -> TrialMetrics:
    sample = np.full(8, e2el_ms)
    latency = {"ttft_ms": sample / 4, "tpot_ms": sample / 30 if tpot else sample[:0], "e2el_ms": sample}
    return TrialMetrics(arm, block, replicate, latency, 1.0, 100, 8, Counter(passed=8), 0, 100.0, None, None)


def trials(blocks: int, spread: float, seed: int = 1, tpot: bool = True) -> list[TrialMetrics]:
    rng = np.random.default_rng(seed)
    found = []
    for block in range(blocks):
        for arm, replicate in ((BASELINE, 0), (BASELINE, 1), ("a", 0), ("b", 0)):
            found.append(trial(arm, block, replicate, 1000 * float(np.exp(spread * rng.normal())), tpot or arm != "b"))
    return found


@pytest.mark.parametrize("metric", ["e2el_mean", "e2el_p50", "ttft_p90", "output_tokens_per_s"])
def test_it_goes_on_while_wide_and_stops_once_every_arm_is_narrow(metric: str) -> None:
    config = UntilConfig.model_validate({"metric": metric, "half_width": "2%"})
    assert not looked(config, trials(7, 0.0), ["a", "b"]).over
    narrow = looked(config, trials(9, 0.001), ["a", "b"])
    assert narrow.narrow and narrow.over
    if metric != "output_tokens_per_s":
        wide = looked(config, trials(9, 0.2), ["a", "b"])
        assert not wide.over
        assert {look.reason for look in wide.looks.values()} == {"still too wide"}


def test_a_block_without_its_second_baseline_does_not_count() -> None:
    config = UntilConfig(metric="e2el_mean", half_width=0.02)
    whole = trials(8, 0.01)
    unfinished = [*whole, *(t for t in trials(9, 0.01, seed=2) if t.block == 8 and t.replicate == 0)]
    assert looked(config, unfinished, ["a", "b"]).blocks == 8


def test_an_arm_without_the_metric_is_not_waited_for() -> None:
    config = UntilConfig(metric="tpot_mean", half_width=0.02)
    found = looked(config, trials(9, 0.001, tpot=False), ["a", "b"])
    assert found.not_measured == ("b",)
    assert found.narrow


def test_the_number_of_blocks_is_bounded() -> None:
    config = UntilConfig(metric="e2el_mean", half_width=0.001, max_blocks=10)
    assert not looked(config, trials(9, 0.2), ["a", "b"]).over
    found = looked(config, trials(10, 0.2), ["a", "b"])
    assert found.over and not found.narrow


def ran(tmp_path: Path, **until: Any) -> tuple[Path, Scenario]:
    """A run on the modelled engine in real time, as `profile` makes it."""
    scenario = load_scenario(ROOT / "scenarios" / "quickstart.yaml").model_copy(
        update={"arms": {"delay": ["input"]}, "until": UntilConfig.model_validate(until), "warmup_requests": 1}
    )

    async def run() -> Path:
        with open_meters() as meters:
            bench = Bench(ModelledEngine(FAST), {"input": Delay(2.0)}, meters)
            manifest = {
                "id": "u",
                "facts": {"model": "m", "device_name": "d", "vllm_version": "-", "engine": "modelled"},
                "arms": list(scenario.stacks()),
                "scenario": scenario.model_dump(mode="json"),
                "not_measured": {},
            }
            path = create_run(tmp_path, "u", manifest)
            await execute(Experiment(scenario, read_prompt_sets(scenario), bench, path), Console(file=io.StringIO()))
        return path

    return asyncio.run(run()), scenario


def test_a_run_adds_blocks_and_its_report_says_why_it_ended(tmp_path: Path) -> None:
    path, _ = ran(tmp_path, metric="e2el_mean", half_width="1%", min_blocks=3, max_blocks=3)
    run = read_run(path)
    assert {source.info.block for source in run.sources} == {0, 1, 2}
    result = analyse(run)
    console = Console(width=80, record=True, file=io.StringIO())
    print_more(result, None, console)
    text = console.export_text()
    assert f"{run.ending} after 3 blocks, 1 looks" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    until = more_json(result, None)["until"]
    low, high = until["arms"]["delay"]["ci95"]
    assert low <= until["arms"]["delay"]["relative"] <= high
    assert until["arms"]["delay"]["narrow_enough"] == (run.ending == "narrow enough")


def test_time_is_up(tmp_path: Path) -> None:
    path, _ = ran(tmp_path, metric="e2el_mean", half_width="0.01%", max_minutes=0.001)
    run = read_run(path)
    assert run.ending == "max_minutes (0.001) reached"
    assert len(run.sources) == 3


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--until", "e2el_p99=2%"], "--until: metric"),
        (["--until", "e2el_p50=two"], "--until: 'two' is no share"),
        (["--until", "e2el_p50=0%"], "--until: half_width"),
        (["--until", "e2el_p50"], "--until: '' is no share"),
        (["--max-minutes", "3"], "needs --until"),
        (["--until", "e2el_p50=2%", "--max-minutes", "0"], "--until: max_minutes"),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"until": {"metric": "e2el_p50", "half_width": "2%", "min_blocks": 9, "max_blocks": 5}}, "min_blocks"),
        ({"until": {"metric": "e2el_p50", "half_width": "wide"}}, "write 2% or 0.02"),
        ({"attribution": "fair"}, "attribution"),
    ],
)
def test_a_wrong_key_is_one_line(
    change: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    for key in ("benign", "borderline", "harmful", "warmup"):
        scenario["prompts"][key] = str(ROOT / "scenarios" / scenario["prompts"][key])
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(scenario | change))
    assert main(["profile", "--scenario", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
