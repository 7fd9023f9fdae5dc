"""What a report says first of a run whose verdicts were not acted on, or whose model had no real weights."""

from collections.abc import Mapping
from typing import Any

_REAL = "Latency, memory and energy are real."


def recorded_note(manifest: Mapping[str, Any]) -> str:
    """The line; empty of a run whose guards acted on a real model's text."""
    scenario: Mapping[str, Any] = manifest.get("scenario") or {}
    dummy = _dummy(scenario.get("engine"))
    recorded = scenario.get("verdicts") == "recorded"
    # What must not be missed fits into the first 80 columns.
    if dummy and recorded:
        return 'Dummy weights, noise for text: verdicts were recorded and forced to "allow". ' + _REAL
    if dummy:
        return "Dummy weights: text and verdicts are noise, and guards acted on them. " + _REAL
    return 'Verdicts were recorded, then forced to "allow": no guard blocked anything.' if recorded else ""


def _dummy(engine: Any) -> bool:
    return isinstance(engine, Mapping) and engine.get("load_format") == "dummy"
