"""What one replica of an arm is made of, from the run's manifest."""

import math
from collections.abc import Mapping
from typing import Any

_PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
_ENDPOINT = "endpoint"


def on_gpus(manifest: Mapping[str, Any]) -> bool:
    """Whether the generator runs on GPUs; else a replica is one machine."""
    return str(manifest["facts"].get("device", "cpu")) not in ("cpu", "none")


def unit_word(manifest: Mapping[str, Any], count: float) -> str:
    """What is counted and paid for, as many as that."""
    word = "GPU" if on_gpus(manifest) else "machine"
    return word if count == 1 else f"{word}s"


def gpus_per_replica(manifest: Mapping[str, Any], arm: str) -> int:
    """The generator's cards, and the further ones that the arm's guards are placed on; 1 on a CPU."""
    if not on_gpus(manifest):
        return 1
    settings: Mapping[str, Any] = manifest["scenario"].get("engine") or {}
    generators = math.prod(int(settings.get(name) or 1) for name in _PARALLEL)
    mine = {f"cuda:{i}" for i in range(generators)}
    return generators + len({card for card in _places(manifest, arm) if card.startswith("cuda:")} - mine)


def judged_elsewhere(manifest: Mapping[str, Any], arm: str) -> bool:
    """Whether a guard of the arm asks an endpoint, whose machines no plan knows."""
    return _ENDPOINT in _places(manifest, arm)


def _places(manifest: Mapping[str, Any], arm: str) -> set[str]:
    placed: Mapping[str, str] = manifest.get("placements") or {}
    guards = (manifest.get("stacks") or {}).get(arm, ())
    return {card for guard in guards for card in placed.get(guard, "").split("+")}
