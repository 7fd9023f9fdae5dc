"""The KV pool that `bench-meters` predicts beside a resident guard, and the one that vLLM then finds.

The guard is a process that holds memory where the pool lies. On a GPU the second engine is only told to take less of
the card (`gpu_memory_utilization`): what pool is left it finds itself, by its own profiling.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from profiler.analysis.kv_pool import Pool, displaced, footprint_of, left_utilisation, pool_of
from profiler.analysis.resources import TrialResources, resources_of
from profiler.engines.embedded import embedded_model_dir
from profiler.engines.vllm_args import is_cpu_build, prepare_environment
from profiler.engines.vllm_engine import VllmEngine
from profiler.meters.meters import open_meters
from profiler.meters.not_measured import NotMeasured
from profiler.meters.roles import known_roles

HELD_MIB = {"cpu": 256, "cuda": 8192}
SETTINGS = {"max_model_len": 1024, "seed": 1, "enforce_eager": True}


async def kv_prediction_error() -> tuple[float | None, str]:
    """|found / predicted - 1| of the pool's blocks, and a note; null but for the note on vLLM's CPU build."""
    prepare_environment()
    whole = await _pool({})
    if isinstance(whole[0], NotMeasured):
        return None, f"not measured: {whole[0].why}"
    pool, facts = whole[0], whole[1]
    before = None if pool.device == "cpu" else await asyncio.to_thread(_window)
    with _holding(pool.device):
        found = footprint_of(await asyncio.to_thread(_window), pool, before)
        if isinstance(found, NotMeasured):
            return None, f"not measured: {found.why}"
        predicted = pool.blocks - displaced(pool, found.mib).blocks
        share = left_utilisation(facts, pool, found.mib)
        left, _ = await _pool(
            {"num_gpu_blocks_override": predicted} if share is None else {"gpu_memory_utilization": share}
        )
    if isinstance(left, NotMeasured):
        return None, f"not measured: {left.why}"
    error = abs(left.blocks / predicted - 1)
    said = f"{found.mib:.0f} MiB ({found.how}) of {pool.blocks} blocks; left {predicted} predicted, {left.blocks} found"
    if is_cpu_build():
        return None, f"not measured: no GPU; CPU build, told the blocks: {said}, error {error:.4f}"
    return error, said


async def _pool(more: Mapping[str, Any]) -> tuple[Pool | NotMeasured, Mapping[str, str]]:
    engine = await VllmEngine.start(str(embedded_model_dir()), {**SETTINGS, **more})
    try:
        return pool_of(engine.facts), engine.facts
    finally:
        await engine.close()


def _window() -> TrialResources:
    with open_meters() as meters:
        roles = known_roles((), multiprocessing.active_children())
        meters.begin(roles)
        return resources_of(meters.end(roles))


@contextmanager
def _holding(device: str) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(theirs, device), name="guard-hold", daemon=True)
    process.start()
    try:
        ours.recv()
        yield
    finally:
        process.terminate()
        process.join()


def hold(pipe: Connection, device: str) -> None:
    """Hold memory on the device until ended."""
    import torch

    held = torch.ones(HELD_MIB[device] << 18, dtype=torch.float32, device=device)
    pipe.send(float(held[-1].cpu()))
    pipe.recv()
