"""The generator's KV pool, what guards hold where it lies, and what that takes from it: MiB, blocks, tokens.

vLLM gives the KV pool what is left of its share of a card (`gpu_memory_utilization`): a guard on the same card takes
its footprint from the pool. On a CPU, pool and guard share the host's memory in the same way. Blocks and preemption:
Kwon et al. 2023, "Efficient memory management for large language model serving with PagedAttention", SOSP.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from profiler.analysis.resources import TrialResources
from profiler.meters.not_measured import NotMeasured

_MIB = 2**20
_GUARDS = ("guard_workers", "guard_engines")


@dataclass(frozen=True)
class Pool:
    """The generator's KV pool: blocks, the tokens that fit, bytes over all `workers`. `device`: "cpu" or "cuda"."""

    blocks: int
    tokens: int
    bytes: int
    workers: int
    device: str

    @property
    def block_bytes(self) -> float:
        """Of one block: on a card of a worker's own, or in the host's memory, which all share."""
        return self.bytes / self.blocks / (1 if self.device == "cpu" else self.workers)


@dataclass(frozen=True)
class Footprint:
    """MiB that guards hold where the pool lies. `how`: "PSS", "NVML by process", or "card" (used after - before)."""

    mib: float
    how: str


@dataclass(frozen=True)
class Displaced:
    """What a footprint takes from a pool, and the share of it."""

    blocks: int
    tokens: int
    share: float


def pool_of(facts: Mapping[str, str]) -> Pool | NotMeasured:
    """From an engine's facts."""
    missing = [key for key in ("kv_blocks", "kv_pool_tokens", "kv_pool_bytes") if not int(facts.get(key, 0))]
    if missing:
        return NotMeasured(f"the engine does not tell its KV pool ({missing[0]})")
    blocks, tokens, held = (int(facts[key]) for key in ("kv_blocks", "kv_pool_tokens", "kv_pool_bytes"))
    return Pool(blocks, tokens, held, int(facts.get("kv_workers", 1)), str(facts.get("device", "cpu")))


def footprint_of(found: TrialResources, pool: Pool, before: TrialResources | None = None) -> Footprint | NotMeasured:
    """What guards hold in a window. `before`: a window without them and without the engine, if there was one.

    On GPUs the fullest of the engine's cards, which are the first that CUDA sees: every worker has as many blocks.
    """
    if pool.device == "cpu":
        if not found.pss:
            return NotMeasured("no PSS of the guards' processes")
        return Footprint(sum(found.pss[role].steady for role in _GUARDS if role in found.pss), "PSS")
    mine = list(found.cards.items())[: pool.workers]
    if not mine:
        return NotMeasured("NVML tells no memory of the generator's card")
    named = [card.beside_engine for _, card in mine if card.beside_engine is not None]
    if named:
        return Footprint(max(named), "NVML by process")
    if before is None or any(source not in before.cards for source, _ in mine):
        return NotMeasured("NVML does not tell which processes hold the card's memory")
    return Footprint(max(0.0, *(card.used - before.cards[source].used for source, card in mine)), "card")


def displaced(pool: Pool, footprint_mib: float) -> Displaced:
    """Whole blocks: a part of one is lost too."""
    blocks = math.ceil(footprint_mib * _MIB / pool.block_bytes)
    return Displaced(blocks, round(blocks * pool.tokens / pool.blocks), blocks / pool.blocks)


def left_utilisation(facts: Mapping[str, str], pool: Pool, footprint_mib: float) -> float | None:
    """VLLM's share of a card less the guards'; None where nothing is known of it."""
    total, share = int(facts.get("device_total_bytes", 0)), float(facts.get("gpu_memory_utilization", 0))
    if pool.device == "cpu" or not total or not share:
        return None
    return share - footprint_mib * _MIB / (total / pool.workers)
