"""Which attention backend vLLM would choose on this machine, asked of its platform without starting an engine."""

import os
from collections.abc import Mapping

from profiler.engines.vllm_args import prepare_environment
from profiler.engines.vllm_llm import one_line

_HEAD_SIZE = 64  # the embedded model's; 64 and 128, the usual ones, are served alike


def attention_backend(environ: Mapping[str, str] = os.environ) -> str:
    """Its name, or why that shows only when an engine starts. Imports vLLM: some seconds."""
    if stated := environ.get("VLLM_ATTENTION_BACKEND"):
        return f"{stated} (VLLM_ATTENTION_BACKEND; vLLM 0.25 and later read `engine: {{attention_backend: ...}}` only)"
    prepare_environment()
    try:
        path = _asked()
    except Exception as error:  # noqa: BLE001 - vLLM's inside: whatever it raises, an engine will tell
        return f"chosen when the engine starts ({one_line(error)[:100] or type(error).__name__})"
    return f"{path.rpartition('.')[2]}, unless the scenario's `engine: {{attention_backend: ...}}` says another"


def _asked() -> str:
    import torch
    from vllm.platforms import current_platform
    from vllm.v1.attention.selector import AttentionSelectorConfig

    asked = AttentionSelectorConfig(head_size=_HEAD_SIZE, dtype=torch.bfloat16, kv_cache_dtype="auto", block_size=None)
    return str(current_platform.get_attn_backend_cls(None, asked, num_heads=9))
