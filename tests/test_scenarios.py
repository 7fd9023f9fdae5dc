"""The scenarios that ship: each loads, and so does what stands in them as a comment to take."""

from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from guards.config import GuardConfig, scorers_of
from profiler.scenario import load_scenario

FOLDER = Path(__file__).parents[1] / "scenarios"
ONE: TypeAdapter[GuardConfig] = TypeAdapter(GuardConfig)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_it_loads(path: Path) -> None:
    scenario = load_scenario(path)
    assert len(scenario.stacks()) > 1


def test_guards_that_need_weights_are_stated_well() -> None:
    lines = (FOLDER / "guards.yaml").read_text().splitlines()
    stated = yaml.safe_load("\n".join(line.strip().removeprefix("# ") for line in lines if line.startswith("  # ")))
    built = {name: ONE.validate_python(guard) for name, guard in stated.items()}
    kinds = {scorer.kind for guard in built.values() for scorer in scorers_of(guard)}
    assert kinds == {"transformer", "vllm-judge", "vllm-head", "endpoint", "framework", "callable"}
