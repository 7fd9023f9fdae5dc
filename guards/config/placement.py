"""Where a guard's models run, in one word."""

from collections.abc import Mapping

from guards.config.endpoint import EndpointConfig
from guards.config.guards import GuardConfig, ParallelConfig, scorers_of
from guards.config.scorers import CallableConfig, CascadeConfig, FrameworkConfig, ScorerConfig, parts
from guards.config.vllm import VllmHeadConfig, VllmJudgeConfig
from guards.scorers.guard_model import SERVED

GENERATOR, GENERATOR_GPU, ENDPOINT, DRIVER = "generator", "generator-gpu", "endpoint", "driver"


def placements(configs: Mapping[str, GuardConfig], device: str) -> dict[str, str]:
    """Each guard's place, by name; `device` is the generator's, as in its facts ("cpu", "cuda")."""
    return {name: _of_guard(config, configs, device) for name, config in configs.items()}


def _of_guard(config: GuardConfig, configs: Mapping[str, GuardConfig], device: str) -> str:
    if isinstance(config, ParallelConfig):
        found = [_of_guard(configs[name], configs, device) for name in config.guards]
    else:
        found = [place for scorer in scorers_of(config) for place in _of_scorer(scorer, device)]
    # The user's own guard is code of the driver's process, whatever it starts.
    return "+".join(dict.fromkeys(found)) or DRIVER


def _of_scorer(config: ScorerConfig, device: str) -> list[str]:
    return [placement(part, device) for part in parts(config) if not isinstance(part, CascadeConfig)]


def placement(config: ScorerConfig, device: str) -> str:
    """`cpu`, `cuda:N`, `generator-gpu`, `generator` (its own model judges), `endpoint`, or `driver`: a user's function.

    A guard model in a vLLM of its own is on the first card that CUDA sees, which is the generator's.
    """
    if isinstance(config, EndpointConfig):
        return ENDPOINT
    if isinstance(config, CallableConfig | FrameworkConfig):
        return DRIVER
    if isinstance(config, VllmJudgeConfig | VllmHeadConfig):
        return GENERATOR if config.model == SERVED else _on(device, device)
    return _on(str(getattr(config, "device", None) or "cpu"), device)


def _on(stated: str, device: str) -> str:
    card = "cuda:0" if stated == "cuda" else stated
    generators = "cuda:0" if device == "cuda" else device
    return GENERATOR_GPU if card == generators and card.startswith("cuda") else card
