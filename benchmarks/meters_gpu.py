"""The GPU's part of `bench-meters`: vLLM under a steady closed loop, windows with the sampling on and off in turn."""

import asyncio
import itertools
import subprocess
import time
from contextlib import aclosing
from dataclasses import dataclass
from multiprocessing import active_children
from statistics import mean, median

from guards.generation import GenerationRequest, Message, Sampling
from profiler.analysis.process_use import device_memory
from profiler.analysis.resources import TrialResources, resources_of
from profiler.engines.embedded import embedded_model_dir
from profiler.engines.engine import Engine
from profiler.engines.vllm_args import is_cpu_build, prepare_environment
from profiler.engines.vllm_engine import VllmEngine
from profiler.meters.meters import Meters, open_meters
from profiler.meters.not_measured import NotMeasured
from profiler.meters.roles import known_roles
from profiler.records.samples import Samples

GPU_FIGURES = ("counter_over_integral", "baseline_spread", "meter_throughput_cost", "memory_mismatch")
PAIRS = 4
USERS, OUTPUT_TOKENS = 32, 128
_numbers = itertools.count()


@dataclass(frozen=True)
class Window:
    """One window under load."""

    tokens: int
    seconds: float
    samples: Samples | None


async def gpu_figures(seconds: float) -> dict[str, tuple[float | None, str]] | NotMeasured:
    """Each figure with a note; why not, without a GPU."""
    with open_meters() as meters:
        if isinstance(meters.gpus, NotMeasured):
            return NotMeasured(meters.gpus.why)
        if is_cpu_build():
            return NotMeasured("vLLM's CPU build is installed")
        prepare_environment()
        engine = await VllmEngine.start(str(embedded_model_dir()), {"max_model_len": 1024, "seed": 1})
        try:
            await _window(engine, None, 5.0)
            windows = [await _window(engine, meters if on else None, seconds) for on in _order()]
            return _figures(windows, meters)
        finally:
            await engine.close()


def _order() -> list[bool]:
    """On and off in turn, each first in every other pair: drift falls on both."""
    return [on for pair in range(PAIRS) for on in ((True, False) if pair % 2 else (False, True))]


async def _window(engine: Engine, meters: Meters | None, seconds: float) -> Window:
    roles = known_roles(engine.pids, active_children())
    await engine.reset_prefix_cache()
    if meters is not None:
        await asyncio.to_thread(meters.begin, roles)
    begun_s = time.monotonic()
    tokens = sum(await asyncio.gather(*(_user(engine, begun_s + seconds) for _ in range(USERS))))
    took_s = time.monotonic() - begun_s
    samples = None if meters is None else await asyncio.to_thread(meters.end, roles)
    return Window(tokens, took_s, samples)


async def _user(engine: Engine, until_s: float) -> int:
    tokens = 0
    sampling = Sampling(max_tokens=OUTPUT_TOKENS, ignore_eos=True)
    while time.monotonic() < until_s:
        message = Message("user", f"Tell me about the number {next(_numbers)}.")
        stream = engine.generate(GenerationRequest(f"m{next(_numbers)}", (message,), sampling))
        async with aclosing(stream):  # type: ignore[type-var]
            async for delta in stream:
                tokens += delta.tokens
    return tokens


def _figures(windows: list[Window], meters: Meters) -> dict[str, tuple[float | None, str]]:
    on = [(one, resources_of(one.samples)) for one in windows if one.samples is not None]
    return {
        "counter_over_integral": _agreement([found for _, found in on]),
        "baseline_spread": _spread([_j_per_token(one, found) for one, found in on]),
        "meter_throughput_cost": _cost(windows),
        "memory_mismatch": _memory(on[-1][0].samples, meters),
    }


def _agreement(found: list[TrialResources]) -> tuple[float | None, str]:
    both = [(e.counter_j, e.integral_j) for one in found for e in one.gpu_energy or ()]
    known = [(counter, integral) for counter, integral in both if counter and integral]
    if not known:
        return None, "not measured: no counter, or no power"
    counter_j, integral_j = (sum(pair[which] for pair in known) for which in (0, 1))
    return counter_j / integral_j, f"{counter_j:.0f} J counted, {integral_j:.0f} J integrated, {len(known)} windows"


def _j_per_token(window: Window, found: TrialResources) -> float | None:
    joules = found.joules().get("gpu")
    return None if joules is None or not window.tokens else joules / window.tokens


def _spread(values: list[float | None]) -> tuple[float | None, str]:
    """The largest difference of two windows in turn, over their mean."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None, "not measured: no energy"
    worst = max(abs(a - b) / mean((a, b)) for a, b in itertools.pairwise(known))
    return worst, f"J/token {', '.join(f'{value:.4f}' for value in known)}"


def _cost(windows: list[Window]) -> tuple[float | None, str]:
    """Throughput lost with the sampling on: the median over pairs of neighbours."""
    rates = [(one.samples is not None, one.tokens / one.seconds) for one in windows]
    pairs = [dict(pair) for pair in zip(rates[::2], rates[1::2], strict=True)]
    cost = median(1 - pair[True] / pair[False] for pair in pairs)
    on, off = (mean(pair[which] for pair in pairs) for which in (True, False))
    return cost, f"{on:.0f} tok/s on, {off:.0f} off, {len(pairs)} pairs"


def _memory(samples: Samples | None, meters: Meters) -> tuple[float | None, str]:
    """Device memory as reported against `nvidia-smi`'s, while the engine still holds it."""
    if samples is None or isinstance(meters.gpus, NotMeasured):
        return None, "not measured: no samples"
    held = device_memory(samples)
    if "card" not in held:
        return None, "not measured: NVML tells no memory"
    uuids = ",".join(card.gpu.uuid for card in meters.gpus.cards)
    asked = ["nvidia-smi", f"--id={uuids}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"not measured: nvidia-smi: {error}"
    smi_mib, ours_mib = sum(map(float, said)), held["card"].steady
    run_mib = held["all"].steady if "all" in held else None
    of_run = "" if run_mib is None else f", {run_mib:.0f} of the run's processes"
    return abs(ours_mib / smi_mib - 1), f"{ours_mib:.0f} MiB reported, nvidia-smi {smi_mib:.0f}{of_run}"
