"""How many parameters a model has, by its configuration: no weights are needed."""

from typing import Any

PARAMETERS = "model_parameters"
"""Of an engine's facts: the number, where it is known."""


def model_parameters(hf_config: Any) -> int | None:
    """Parameters of a causal language model, tied ones once; None where transformers does not know its architecture.

    Counted on torch's meta device, which makes shapes and no tensors (half a second for any size): the workers' own
    tensors tell less, being packed on a CPU, sharded over GPUs, or quantised.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(hf_config, trust_remote_code=False)
    except Exception:  # noqa: BLE001 - a configuration of any model's own: no size, and the run goes on
        return None
    return int(sum(parameter.numel() for parameter in model.parameters()))
