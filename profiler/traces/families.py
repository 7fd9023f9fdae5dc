"""Device time by family of kernels, from a trace of the torch profiler (Chrome trace format)."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OTHER = "other"
# The first that fits the kernel's name takes it.
_FAMILIES = (
    ("communication", r"nccl|all_?reduce|all_?gather|reduce_?scatter|broadcast_kernel"),
    ("KV cache", r"reshape_and_cache|kv_?cache|concat_and_cache|slot_mapping"),
    ("attention", r"attn|attention|fmha|flash|paged|mla_"),
    ("norm", r"norm"),
    ("rotary", r"rotary|rope"),
    ("activation", r"silu|gelu|act_and_mul|sigmoid|swiglu|tanh"),
    ("GEMM", r"gemm|gemv|matmul|addmm|\bb?mm\b|_mm\b|cutlass|cublas|nvjet|linear|xmma|wgmma"),
    ("sampling", r"topk|top_k|argmax|softmax|multinomial|sort|gumbel|sampl|logit|exponential|cumsum"),
    ("memory", r"memcpy|memset|copy|fill|\bcat\b|index|gather|scatter|embedding|contiguous|\bto\b"),
)
_PATTERNS = tuple((family, re.compile(pattern, re.IGNORECASE)) for family, pattern in _FAMILIES)
_DEVICE = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})


class NotATrace(ValueError):
    """The file is no trace of the torch profiler; the message says why."""


@dataclass(frozen=True)
class DeviceTime:
    """Nanoseconds by family. `device`: "gpu" for kernels, "cpu" for the operators' own time where there is no GPU."""

    device: str
    ns: Mapping[str, int]


def family_of(name: str) -> str:
    """The family of a kernel or an operator, by its name."""
    return next((family for family, pattern in _PATTERNS if pattern.search(name)), OTHER)


def read_trace(path: Path) -> DeviceTime:
    """Device time by family in a trace, gzipped or not.

    Raises:
        NotATrace: unreadable, or of another form.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            events = json.load(file)["traceEvents"]
        kernels = Counter[str]()
        for event in events:
            if event.get("cat") in _DEVICE:
                kernels[family_of(str(event["name"]))] += round(1e3 * float(event["dur"]))
        return DeviceTime("gpu", kernels) if kernels else DeviceTime("cpu", _own_time(events))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotATrace(f"{path}: {type(error).__name__}: {error}") from error


def _own_time(events: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Operators' time without that of the operators that they call, by family."""
    threads: dict[tuple[Any, Any], list[tuple[float, float, str]]] = {}
    for event in events:
        if event.get("cat") == "cpu_op":
            place = threads.setdefault((event.get("pid"), event.get("tid")), [])
            place.append((float(event["ts"]), -float(event["dur"]), str(event["name"])))
    found: Counter[str] = Counter()
    for calls in threads.values():
        outer: list[tuple[float, str]] = []  # end and name of the operators that are open
        for begin, minus, name in sorted(calls):
            while outer and outer[-1][0] <= begin:
                outer.pop()
            if outer:
                found[family_of(outer[-1][1])] += round(1e3 * minus)
            found[family_of(name)] -= round(1e3 * minus)
            outer.append((begin - minus, name))
    return found
