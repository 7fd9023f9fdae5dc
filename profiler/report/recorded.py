"""What a report says first of a run whose verdicts were not acted on, or whose model had no real weights."""

from collections.abc import Mapping
from typing import Any


def recorded_note(manifest: Mapping[str, Any]) -> str:
    """The line; empty of a run whose guards acted on a real model's text."""
    scenario: Mapping[str, Any] = manifest.get("scenario") or {}
    dummy = _dummy(scenario.get("engine"))
    recorded = scenario.get("verdicts") == "recorded"
    why = "Dummy weights: latency, memory and energy are real, text and verdicts are noise. " if dummy else ""
    held = 'Verdicts were recorded, then forced to "allow": no guard blocked or changed anything.' if recorded else ""
    return f"{why}{held}".strip()


def _dummy(engine: Any) -> bool:
    return isinstance(engine, Mapping) and engine.get("load_format") == "dummy"
