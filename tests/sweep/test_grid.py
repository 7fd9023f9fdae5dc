"""From a grid to arms and points, and what is said of a grid that is none."""

from pathlib import Path
from typing import Any

import pytest

from guards.config import InputClassifierConfig, OutputFilterConfig, placements
from profiler.errors import UserError
from profiler.scenario import Scenario, SweepConfig, load_scenario
from profiler.sweep.grid import expanded
from profiler.sweep.point import Point

ROOT = Path(__file__).parents[2]
JUDGE = {"kind": "vllm-judge", "model": "served", "family": "llama-guard-3"}


def swept(grid: dict[str, list[Any]], stack: list[str] | None = None) -> tuple[Scenario, tuple[Point, ...]]:
    scenario = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    return expanded(scenario.model_copy(update={"sweep": SweepConfig(grid=grid, stack=stack or [])}))


def test_each_guard_of_the_grid_is_varied_alone() -> None:
    scenario, points = swept({"output.chunk_tokens": [4, 8], "rerank.n": [2, 3]})
    assert list(scenario.stacks()) == [
        "none",
        "output chunk_tokens=4",
        "output chunk_tokens=8",
        "rerank n=2",
        "rerank n=3",
    ]
    assert [point.arm for point in points] == list(scenario.stacks())[1:]
    variant = scenario.guards["output chunk_tokens=4"]
    assert isinstance(variant, OutputFilterConfig)
    assert (variant.chunk_tokens, variant.context_tokens) == (4, 32)  # what is not varied stays as it was stated


def test_thresholds_of_a_classifier_are_one_arm_at_the_loosest_and_a_point_each() -> None:
    scenario, points = swept({"input.threshold": [0.2, 0.9, 0.5], "input.gating": ["blocking", "speculative"]})
    assert list(scenario.stacks()) == ["none", "input gating=blocking", "input gating=speculative"]
    guard = scenario.guards["input gating=blocking"]
    assert isinstance(guard, InputClassifierConfig)
    assert (guard.threshold, guard.gating) == (0.9, "blocking")
    mine = [point for point in points if point.arm == "input gating=blocking"]
    assert [(p.thresholds, p.rescored) for p in mine] == [
        ({"input gating=blocking": 0.2}, True),
        ({"input gating=blocking": 0.9}, False),
        ({"input gating=blocking": 0.5}, True),
    ]
    assert len({point.label for point in points}) == 6
    assert points[0].settings == {"input.gating": "blocking", "input.threshold": "0.2"}


def test_a_monitors_and_a_rerankers_thresholds_are_run() -> None:
    scenario, points = swept({"rerank.threshold": [0.2, 0.9]})
    assert list(scenario.stacks()) == ["none", "rerank threshold=0.2", "rerank threshold=0.9"]
    assert not any(point.rescored or point.thresholds for point in points)
    scenario, points = swept({"input.threshold": [0.2, 0.9], "input.gating": ["monitor"]})
    assert len(scenario.stacks()) == 3 and not any(point.rescored for point in points)


def test_a_stack_is_run_over_all_combinations() -> None:
    grid = {"input.threshold": [0.2, 0.9], "output.threshold": [0.3, 0.8], "output.chunk_tokens": [4, 8]}
    scenario, points = swept(grid, ["input", "output"])
    assert list(scenario.stacks().values()) == [
        (),
        ("input", "output chunk_tokens=4"),
        ("input", "output chunk_tokens=8"),
    ]
    assert len(points) == 8 and sum(not point.rescored for point in points) == 2
    measured = next(point for point in points if not point.rescored)
    assert measured.thresholds == {"input": 0.9, "output chunk_tokens=4": 0.8}


def test_a_scorer_can_be_exchanged_and_its_own_settings_varied() -> None:
    rules = {"kind": "rules", "words": {"weapons": ["bomb"]}}
    scenario, points = swept({"input.scorer": [rules, {"kind": "embedding", "head": "prompt"}]})
    assert [point.settings["input.scorer"] for point in points] == ["rules", "embedding"]
    scenario, _ = swept({"input.scorer.head": ["prompt", "answer"]})
    guard = scenario.guards["input scorer.head=answer"]
    assert isinstance(guard, InputClassifierConfig) and guard.scorer.kind == "embedding"
    scenario, points = swept({"input.scorer": [rules, {"kind": "rules", "pii": False}]})
    assert [point.arm for point in points] == ["input scorer=rules", "input scorer=rules #2"]


def test_a_model_guard_on_several_devices_is_one_sweep() -> None:
    base = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    scorer = {"kind": "transformer", "model": "some/classifier", "unsafe": ["unsafe"]}
    guard = InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": scorer})
    grid = SweepConfig(grid={"input.scorer.device": ["cpu", "cuda:0", "cuda:1"]})
    scenario, points = expanded(base.model_copy(update={"guards": {"input": guard}, "sweep": grid}))
    places = placements(scenario.guards, "cuda")
    assert [places[point.arm] for point in points] == ["cpu", "generator-gpu", "cuda:1"]


def test_one_stack_at_several_placements_is_one_sweep() -> None:
    scenario, points = swept({"input.scorer": [JUDGE | {"model": model} for model in ("served", "embedded")]})
    assert [point.arm for point in points] == ["input scorer=vllm-judge", "input scorer=vllm-judge #2"]
    assert placements(scenario.guards, "cuda") | {"output": "", "rerank": ""} == {
        "output": "", "rerank": "", points[0].arm: "generator", points[1].arm: "generator-gpu",
    }  # fmt: skip
    judge = {"input": InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": JUDGE})}
    base = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    grid = SweepConfig(grid={"input.scorer.model": ["served", "embedded"]}, stack=["input", "output"])
    stated = base.model_copy(update={"guards": {**base.guards, **judge}, "sweep": grid})
    scenario, _ = expanded(stated)
    assert list(scenario.stacks().values())[1:] == [
        ("input scorer.model=served", "output"),
        ("input scorer.model=embedded", "output"),
    ]
    places = placements(scenario.guards, "cpu")
    assert [places[f"input scorer.model={model}"] for model in ("served", "embedded")] == ["generator", "cpu"]


@pytest.mark.parametrize(
    ("grid", "stack", "said"),
    [
        ({}, [], "no grid"),
        ({"threshold": [1]}, [], "`threshold` names no setting"),
        ({"inpt.threshold": [1]}, [], "no guard `inpt` in the scenario: there are input, output, rerank"),
        ({"input.treshold": [1]}, [], "input.treshold: no such setting"),
        ({"input.threshold": [2]}, [], "input.threshold: Input should be less than or equal to 1"),
        ({"input.threshold": []}, [], "`input.threshold` has no values"),
        ({"input.threshold": [0.5]}, ["output"], "`input` is not in sweep.stack"),
        ({"input.threshold": [0.5]}, ["input", "x"], "sweep.stack: no guard `x`"),
        ({"rerank.n": list(range(1, 65)), "output.chunk_tokens": [1]}, [], "makes 65 arms, at most 64"),
    ],
)
def test_a_grid_that_is_none_is_told_in_one_line(grid: dict[str, list[Any]], stack: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        swept(grid, stack)
    assert said in str(caught.value) and "\n" not in str(caught.value)
