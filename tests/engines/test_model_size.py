"""How many parameters a model has, by its configuration."""

from pathlib import Path

from transformers import AutoConfig, PretrainedConfig

from profiler.engines.model_size import model_parameters

MODELS = Path(__file__).parents[2] / "scenarios" / "models"


def test_parameters_are_counted_without_weights() -> None:
    eight = AutoConfig.from_pretrained(MODELS / "llama-3.1-8b-shape")
    per_layer = 2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096
    assert model_parameters(eight) == 32 * per_layer + 2 * 49152 * 4096 + 4096


def test_of_an_unknown_architecture_nothing_is_said() -> None:
    assert model_parameters(PretrainedConfig()) is None
