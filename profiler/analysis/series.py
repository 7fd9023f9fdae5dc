"""Which runs may stand in one series: the same scenario, model, device and vLLM version."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from profiler.scenario import Scenario

# How long a run is, and what it keeps, changes no figure's level; `model` is compared as what was loaded.
_FREE = ("blocks", "until", "keep_text", "model")
_SETS = ("benign", "borderline", "harmful", "sets", "warmup")


@dataclass(frozen=True, order=True)
class SeriesKey:
    """What runs of one series share."""

    scenario: str
    model: str
    device: str
    vllm: str
    scenario_hash: str

    def differs(self, before: "SeriesKey") -> list[str]:
        """In what this one is not as the one before it."""
        names = {"model": "model", "device": "device", "vllm": "vLLM", "scenario_hash": "scenario"}
        return [
            f"{word} {getattr(before, name)} -> {getattr(self, name)}"
            for name, word in names.items()
            if getattr(self, name) != getattr(before, name)
        ]


def series_key(manifest: Mapping[str, Any]) -> SeriesKey:
    """Of a run.

    Raises:
        KeyError: the manifest does not say what was run.
    """
    facts, scenario = manifest["facts"], manifest["scenario"]
    return SeriesKey(
        str(scenario["name"]),
        str(facts["model"]),
        str(facts["device_name"]),
        str(facts["vllm_version"]),
        scenario_hash(scenario, str(manifest.get("prompts_sha256", ""))),
    )


def scenario_hash(scenario: Mapping[str, Any], prompts_sha256: str) -> str:
    """Eight hexadecimal digits that are the same for the same work.

    Prompt sets count by their content, not by where they lie. Defaults are filled in, so that a run of before an
    option was there still matches.
    """
    try:
        stated = Scenario.model_validate(scenario).model_dump(mode="json")
    except ValidationError:
        stated = dict(scenario)
    kept = {key: value for key, value in stated.items() if key not in _FREE}
    prompts = kept.get("prompts")
    if prompts_sha256 and isinstance(prompts, Mapping):
        kept["prompts"] = {key: value for key, value in prompts.items() if key not in _SETS}
    text = json.dumps([kept, prompts_sha256], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
