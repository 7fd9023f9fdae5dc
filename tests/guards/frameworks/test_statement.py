"""A framework's guard as a scenario states it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from guards.config import CascadeConfig, FrameworkConfig, InputClassifierConfig, build_guard
from guards.loading import GuardConfigError
from guards.scorers.frameworks import packages
from profiler.errors import UserError
from profiler.scenario import load_scenario

ROOT = Path(__file__).parents[3]
KEY = "sk-very-secret-0123456789"


def scenario(tmp_path: Path, **said: Any) -> Path:
    loaded = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    loaded["guards"] = {"mine": {"kind": "input-classifier", "scorer": {"kind": "framework", **said}}}
    loaded.pop("arms", None)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(loaded))
    return path


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({}, "package: missing: add it"),
        ({"package": "nemo"}, "package: Input should be 'any-guardrail', 'llm-guard', 'guardrails-ai', "),
        (
            {"package": "any-guardrail", "options": {"create": {"api_key": KEY}}},
            "`api_key` would be stored with the run",
        ),
        ({"package": "openai-guardrails", "options": {"x": [{"hf_token": KEY}]}}, "`hf_token` would be stored with"),
    ],
)
def test_a_mistake_is_one_line_and_shows_no_key(tmp_path: Path, said: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        load_scenario(scenario(tmp_path, **said))
    shown = str(caught.value)
    assert line in shown and len(shown.splitlines()) == 1 and KEY not in shown


def test_what_only_looks_like_a_key_is_an_option(tmp_path: Path) -> None:
    options = {"max_tokens": 3, "token": 7, "secrets": "all", "tokenizer": "x"}
    (guard,) = load_scenario(scenario(tmp_path, package="llm-guard", options=options)).guards.values()
    assert isinstance(guard, InputClassifierConfig) and isinstance(guard.scorer, FrameworkConfig)
    assert guard.scorer.options == options


def test_a_package_that_is_not_installed_is_said_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_installed", lambda distribution: False)
    framework = FrameworkConfig(kind="framework", package="nemo-guardrails")
    cascade = CascadeConfig(kind="cascade", cascade=(framework, framework))
    config = InputClassifierConfig(kind="input-classifier", scorer=cascade)
    with pytest.raises(GuardConfigError) as caught:
        build_guard("mine", config)
    said = "guards.mine.scorer.cascade.0: nemo-guardrails is not installed: pip install nemoguardrails"
    assert str(caught.value) == said
