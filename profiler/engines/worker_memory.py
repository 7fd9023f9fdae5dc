"""What a vLLM worker knows of its own memory. Runs in the worker: vLLM mixes this class into its own."""

from collections.abc import Iterable
from typing import Any


class WorkerMemory:
    """vLLM's `worker_extension_cls`: adds one method to every worker."""

    def alignment_tax_memory_bytes(self) -> dict[str, int]:
        """Bytes of the KV pool's tensors, each once; weights and activation peak (with CUDA graphs) as vLLM has them.

        vLLM measures the latter two on GPUs only. On a CPU it packs the weights away where no tensor tells of them.
        """
        worker: Any = self
        runner = worker.model_runner
        found = {
            "weights_bytes": getattr(runner, "model_memory_usage", 0),
            "activation_peak_bytes": getattr(worker, "peak_activation_memory", 0),
            # The share that vLLM takes, `gpu_memory_utilization`, is of this.
            "device_total_bytes": getattr(getattr(worker, "init_snapshot", None), "total_memory", 0),
            "kv_pool_bytes": _held_bytes(_tensors(getattr(runner, "kv_caches", ()))),
        }
        return {name: int(held) for name, held in found.items() if held}


def _tensors(caches: Any) -> Iterable[Any]:
    """A cache may be a tensor, or several (key and value, states)."""
    for cache in caches:
        if isinstance(cache, list | tuple):
            yield from _tensors(cache)
        elif hasattr(cache, "untyped_storage"):
            yield cache


def _held_bytes(tensors: Iterable[Any]) -> int:
    storages = {(s := tensor.untyped_storage()).data_ptr(): s.nbytes() for tensor in tensors}
    return sum(storages.values())
