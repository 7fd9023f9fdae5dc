"""`alignment-tax doctor`: what this machine can measure, what not, why, and how to enable it."""

import asyncio
import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from profiler.engines.vllm_args import installed_vllm, is_cpu_build
from profiler.engines.vllm_attention import attention_backend
from profiler.errors import UserError
from profiler.machine import cpu_has_bf16, machine
from profiler.meters.capabilities import meter_capabilities
from profiler.meters.capability import Capability, absent
from profiler.meters.governor import governor
from profiler.meters.noise_floor import SECONDS, NoiseFloor, judgement, noise_floor
from profiler.meters.not_measured import NotMeasured
from profiler.report.schema import VERSION
from profiler.report.text import printable
from profiler.stacks.spy import spying_right

QUIET = 0.05
_NOISY = "close other programs, pin the run to cores of its own (`taskset`), or take more blocks (`--until`)"
_STOLEN = "the host takes time away: a machine of its own, or cores that are not shared"
_LEFT_OUT = f"--no-noise ({SECONDS} s without it)"
_MARKS = {True: "yes", False: "NO", None: ""}
_WIDTH = 80


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found, in the order in which it is shown."""

    machine: dict[str, Any]
    capabilities: tuple[Capability, ...]
    noise: NoiseFloor | NotMeasured


def diagnose(*, noise: bool = True) -> Diagnosis:
    """Look at the machine: some seconds; with `noise` ten more, before anything else makes the machine busy."""
    measured = noise_floor() if noise else NotMeasured(_LEFT_OUT)
    facts = machine()
    cpu = f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB"
    found = [Capability("machine", cpu), _host_memory(), _vllm(), _attention(), _bf16(), *meter_capabilities()]
    return Diagnosis(facts, (*found, _spy(), governor(), noise_capability(measured)), measured)


def noise_capability(found: NoiseFloor | NotMeasured) -> Capability:
    """The judgement as a line; a machine that cannot tell a tax of 5 % in a short run is not quiet."""
    if isinstance(found, NotMeasured):
        return absent("noise floor", found)
    if found.detectable <= QUIET:
        return Capability("noise floor", judgement(found), True)
    stolen = found.steal is not None and found.steal > 0.01
    return Capability("noise floor", judgement(found), False, _STOLEN if stolen else _NOISY)


def as_lines(found: Diagnosis, width: int = _WIDTH) -> Iterator[str]:
    """Plain lines, no longer than `width`: what, whether, the figure or the reason, and the cure below it."""
    indent = 1 + max(len(one.name) for one in found.capabilities)
    for one in found.capabilities:
        yield from _wrapped(f"{one.name:<{indent}}{_MARKS[one.able]:<4}", one.text, width)
        if one.cure:
            yield from _wrapped(" " * (indent + 4), f"cure: {one.cure}", width)


def as_json(found: Diagnosis) -> dict[str, Any]:
    """The same as data."""
    noise = None if isinstance(found.noise, NotMeasured) else asdict(found.noise)
    capabilities = [asdict(one) for one in found.capabilities]
    return {"schema": VERSION, "machine": found.machine, "capabilities": capabilities, "noise_floor": noise}


def _wrapped(head: str, text: str, width: int) -> Sequence[str]:
    return textwrap.wrap(
        printable(text), width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False
    ) or [head.rstrip()]


def _host_memory() -> Capability:
    free = psutil.virtual_memory()
    return Capability("host memory", f"{free.available / 2**30:.1f} of {free.total / 2**30:.1f} GiB free")


def _vllm() -> Capability:
    try:
        return Capability("vLLM", str(installed_vllm()) + (" (CPU build)" if is_cpu_build() else ""), True)
    except UserError as error:
        why, _, cure = str(error).partition(": ")
        return Capability("vLLM", why, False, cure)


def _attention() -> Capability:
    try:
        installed_vllm()
    except UserError:
        return Capability("attention", "not known without vLLM")
    return Capability("attention", attention_backend(os.environ))


def _bf16() -> Capability:
    return Capability("bfloat16", "native" if cpu_has_bf16() else "not native: the embedded model runs in float32")


def _spy() -> Capability:
    if (why := asyncio.run(spying_right())) is not None:
        return absent("stacks", why)
    return Capability("stacks", "py-spy may read the run's processes (`--stacks`)", True)
