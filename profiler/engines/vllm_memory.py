"""The generator's memory as vLLM itself states it: KV pool in blocks and tokens, weights, activation peak."""

from collections.abc import Mapping, Sequence
from typing import Any

from profiler.engines.worker_memory import WorkerMemory

EXTENSION = f"{WorkerMemory.__module__}.{WorkerMemory.__qualname__}"
_TIMEOUT_S = 30.0


async def memory_facts(llm: Any) -> dict[str, str]:
    """For an engine's facts; what this vLLM does not tell is left out. Bytes are summed over workers."""
    config = llm.vllm_config
    if config.parallel_config.worker_extension_cls != EXTENSION:  # the user's own class: workers cannot be asked
        return pool_facts(config.cache_config)
    found: Sequence[Mapping[str, int]] = await llm.collective_rpc("alignment_tax_memory_bytes", _TIMEOUT_S)
    names = dict.fromkeys(name for worker in found for name in worker)
    return {
        **pool_facts(config.cache_config),
        "kv_workers": str(len(found)),
        "gpu_memory_utilization": str(config.cache_config.gpu_memory_utilization),
        **{name: str(sum(worker.get(name, 0) for worker in found)) for name in names},
    }


def pool_facts(cache: Any) -> dict[str, str]:
    """Blocks, tokens a block, and the tokens that fit. Hybrid models hold other than blocks x block size."""
    blocks, size = cache.num_gpu_blocks, cache.block_size
    if not blocks or not size:
        return {}
    # vLLM's own count where it has one.
    tokens = getattr(cache, "kv_cache_size_tokens", None) or blocks * size
    return {
        "kv_blocks": str(blocks),
        "kv_block_tokens": str(size),
        "kv_pool_tokens": str(tokens),
    }
