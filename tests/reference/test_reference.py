"""The reference run up to the device: its parts, its shapes, what it keeps and what it prints."""

import json
import shutil
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from guards.config import scorers_of
from profiler.engines import weights
from profiler.engines.weights import find_weights
from profiler.errors import UserError
from profiler.records.store import read_run
from profiler.reference.__main__ import main
from profiler.reference.compact import compacted
from profiler.reference.parts import PARTS, SCENARIOS, TINY, Part, chosen, for_part, scenario_of
from profiler.reference.run import OUT_OF_TIME, ROOT, Plan, is_done, run_parts
from profiler.reference.table import table
from profiler.scenario import ClosedLoad, PoissonLoad, Scenario, load_scenario
from tests.meters.fake_nvml import Clock, FakeCard, FakeNvml
from tests.run.test_run import stored_run


def shape(name: str) -> dict[str, int]:
    found: dict[str, int] = json.loads((SCENARIOS / "models" / name / "config.json").read_text())
    return found


def parameters(config: dict[str, int]) -> float:
    """Billions, of a Llama without biases."""
    hidden, head = config["hidden_size"], config["head_dim"]
    attention = hidden * head * (2 * config["num_attention_heads"] + 2 * config["num_key_value_heads"])
    layer = attention + 3 * hidden * config["intermediate_size"] + 2 * hidden
    embeddings = config["vocab_size"] * hidden * (1 if config["tie_word_embeddings"] else 2)
    return (config["num_hidden_layers"] * layer + embeddings + hidden) / 1e9


def test_the_shapes_are_llamas_but_for_the_vocabulary() -> None:
    big, guard = shape("llama-3.1-8b-shape"), shape("llama-guard-3-1b-shape")
    assert parameters(big | {"vocab_size": 128256}) == pytest.approx(8.03, abs=0.01)
    assert parameters(guard | {"vocab_size": 128256}) == pytest.approx(1.236, abs=0.01)
    assert parameters(big) == pytest.approx(7.38, abs=0.01)
    assert parameters(guard) == pytest.approx(1.07, abs=0.01)


def test_a_bare_shape_speaks_with_the_embedded_tokenizer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "embedded_model_dir", lambda: tmp_path / "smol")
    dummy = {"load_format": "dummy"}
    assert find_weights(str(TINY), dummy).settings == {**dummy, "tokenizer": str(tmp_path / "smol")}
    assert find_weights(str(TINY), {**dummy, "tokenizer": "mine"}).settings["tokenizer"] == "mine"
    assert "tokenizer" not in find_weights(str(TINY), {}).settings
    whole = Path(shutil.copytree(TINY, tmp_path / "whole"))
    (whole / "tokenizer.json").write_text("{}")
    assert "tokenizer" not in find_weights(str(whole), dummy).settings


def test_the_scenario_has_the_arms_and_guards_of_the_issue() -> None:
    scenario = load_scenario(SCENARIOS / "h100.yaml")
    assert list(scenario.stacks()) == ["none", "input", "speculative", "output-32", "output-128", "rerank", "all"]
    assert scenario.verdicts == "recorded"
    asked = [one for guard in scenario.guards.values() for one in scorers_of(guard)]
    assert {one.kind for one in asked} == {"vllm-head", "vllm-judge"}
    models = {scenario.model, *(one.model for one in asked if one.kind in ("vllm-head", "vllm-judge"))}
    assert all((Path(model) / "config.json").is_file() for model in models)
    assert list(load_scenario(SCENARIOS / "h100-embedded.yaml").stacks()) == list(scenario.stacks())


def test_a_dry_run_has_nothing_but_the_tiny_model() -> None:
    for name in ("h100", "h100-embedded"):
        scenario = scenario_of(name, dry=True)
        said = json.dumps(scenario.model_dump(mode="json"))
        assert "llama-" not in said and scenario.model == str(TINY)
    assert list(scenario_of("h100", dry=True).stacks()) == list(scenario_of("h100", dry=False).stacks())


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(SCENARIOS / "h100.yaml")


@given(st.sampled_from(PARTS), st.floats(0.05, 500), st.floats(0.5, 60))
def test_the_baselines_window_lasts_as_long_as_asked(
    scenario: Scenario, part: Part, pilot_hz: float, seconds: float
) -> None:
    found = for_part(scenario, part, pilot_hz, seconds, 2, idle=False)
    rate_hz = pilot_hz
    if part.users is None:
        assert isinstance(found.load, PoissonLoad)
        rate_hz = found.load.rate_hz
        assert rate_hz == pytest.approx(0.7 * pilot_hz)
    else:
        assert found.load == ClosedLoad(kind="closed", users=part.users)
    assert found.requests_per_trial / rate_hz >= seconds
    assert set(found.arms) == set(part.arms or scenario.arms)
    assert (found.blocks, found.meters.idle_seconds) == (2, 0.0)
    Scenario.model_validate(found.model_dump())  # the name, too, is one that a scenario may have


def test_parts_are_chosen_by_name() -> None:
    assert chosen("", full=False) == PARTS
    assert [part.name for part in chosen("8b-poisson, 8b-closed-1", full=False)] == ["8b-poisson", "8b-closed-1"]
    assert all(not part.arms for part in chosen("", full=True))
    with pytest.raises(UserError, match="--parts: no part `9b`: there are 8b-closed-16"):
        chosen("9b", full=False)


def test_a_compacted_run_says_what_the_run_says(tmp_path: Path) -> None:
    quickstart = load_scenario(SCENARIOS / "quickstart.yaml")
    run = stored_run(quickstart, tmp_path / "raw")
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "seen": f"{ROOT}/scenarios/x"}))
    target = tmp_path / "reference" / "part"
    compacted(run, target, ROOT)
    before, after = read_run(run), read_run(target)
    assert after.manifest["seen"] == "scenarios/x"
    for one, other in zip(before.trials, after.trials, strict=True):
        assert one.info == other.info and one.table.equals(other.table)
    meta = pq.read_metadata(next((target / "trials").glob("*.parquet"))).row_group(0)
    kinds = {meta.column(i).path_in_schema: meta.column(i) for i in range(meta.num_columns)}
    assert kinds["scheduled_ns"].compression == "ZSTD" and "DELTA_BINARY_PACKED" in kinds["scheduled_ns"].encodings
    assert "Latency tax" in (target / "report.txt").read_text()
    assert max(map(len, (target / "report.txt").read_text().splitlines())) <= 80
    text = (target / "report.json").read_text()
    assert json.loads(text)["arms"]["input"]["requests"] and str(ROOT) not in text
    compacted(run, target, ROOT)  # again, over what is there
    assert not [left for left in target.parent.iterdir() if left != target]
    lines = list(table(tmp_path / "reference", ["part", "other"]))
    assert lines[1] == "part" and lines[2].startswith("  none") and lines[-1] == "other: not run"
    assert all(len(line) <= 80 for line in lines)


def test_a_part_that_is_there_whole_is_not_run_again(tmp_path: Path) -> None:
    part = tmp_path / PARTS[0].name
    part.mkdir()
    assert not is_done(tmp_path, PARTS[0])
    (part / "ending.json").write_text('{"ending": "out of time"}')
    assert not is_done(tmp_path, PARTS[0])
    (part / "ending.json").write_text('{"ending": "all blocks done"}')
    assert is_done(tmp_path, PARTS[0])


async def _without_time(tmp_path: Path) -> dict[str, str]:
    plan = Plan(PARTS, tmp_path, tmp_path, 20.0, 1, time.monotonic() + 30)
    return await run_parts(plan, Console(quiet=True))


def test_nothing_is_begun_that_time_does_not_allow(tmp_path: Path) -> None:
    import asyncio

    missing = asyncio.run(_without_time(tmp_path))
    assert missing == dict.fromkeys((part.name for part in PARTS), OUT_OF_TIME)
    assert not list(tmp_path.iterdir())


def test_without_a_gpu_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    FakeNvml(monkeypatch, Clock())
    assert main(["--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr()
    assert said.err == "no GPU: not measured: no GPU\n" and said.out == ""
    assert not (tmp_path / "x").exists()


def test_a_cpu_build_beside_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    FakeNvml(monkeypatch, Clock(), FakeCard("GPU-a"))
    monkeypatch.setattr("profiler.reference.__main__.is_cpu_build", lambda: True)
    assert main([]) == 2
    assert "make clean setup" in capsys.readouterr().err
