"""A Hugging Face sequence classifier, as the worker process loads it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from guards.scorers.classifier import Classifier
from guards.scorers.labels import unsafe_labels
from guards.scorers.model_process import CannotLoad
from guards.told import storable

T = TypeVar("T")


def load(
    model: str,
    revision: str | None,
    device: str,
    dtype: str,
    unsafe: list[str] | None,
    multi_label: bool | None,
    max_tokens: int,
    overlap_tokens: int,
    max_batch: int,
    threads: int,
) -> Callable[[list[str]], list[tuple[float, list[str]]]]:
    """Load a classifier by hub id or folder: safetensors only, and none of the model's own code.

    The network is asked only for a hub id that is not in the cache.

    Raises:
        CannotLoad: no such model, device or label; not a trained classifier; the window does not fit the model.
    """
    _quiet()
    torch.set_num_threads(threads)
    _check_device(device)
    where = {"pretrained_model_name_or_path": model, "revision": revision or "main", "trust_remote_code": False}
    config = _had(model, lambda local: AutoConfig.from_pretrained(**where, local_files_only=local))
    tokenizer = _had(model, lambda local: _tokenizer(AutoTokenizer.from_pretrained(**where, local_files_only=local)))
    if config.problem_type == "regression":
        raise CannotLoad(f"{model} is a regression, its output is no probability: name a classifier")
    if multi_label is None:
        # One label alone is a yes or no, as in transformers' own pipeline.
        multi_label = config.num_labels == 1 or config.problem_type == "multi_label_classification"
    labels = [str(config.id2label[index]) for index in range(config.num_labels)]
    indices = unsafe_labels(model, labels, unsafe, multi_label)
    window = _window(model, config, tokenizer, max_tokens, overlap_tokens)
    loaded = _weights(model, where, config, dtype).to(device)
    return Classifier(loaded, tokenizer, labels, indices, multi_label, window, overlap_tokens, max_batch).judge


def _quiet() -> None:
    """What is wrong is said in one line by who started the process."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _check_device(device: str) -> None:
    if device == "cpu":
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise CannotLoad(f"device: {device}: torch {torch.__version__} finds no GPU here: state `device: cpu`")
    if int(device.partition(":")[2] or 0) >= count:
        raise CannotLoad(f"device: {device}: there are {count} GPUs, the first is cuda:0")


def _had(model: str, load: Callable[[bool], T]) -> T:
    """From disk if it is there, else from the hub."""
    try:
        return load(True)
    except (OSError, ValueError) as error:
        if Path(model).exists():
            raise CannotLoad(f"{model} cannot be read: {storable(str(error), 160)}") from error
    try:
        return load(False)
    except (OSError, ValueError) as error:
        raise CannotLoad(
            f"cannot get {model} from the hub ({storable(str(error), 160)}): check the id, access, network"
        ) from error


def _tokenizer(read: Any) -> Any:
    # Where its file is missing, transformers makes one up that takes every word for unknown.
    if read.vocab_size <= len(read.all_special_ids):
        raise OSError("its tokenizer knows no words: add tokenizer.json")
    return read


def _weights(model: str, where: dict[str, Any], config: Any, dtype: str) -> Any:
    options = {"use_safetensors": True, "config": config, "dtype": dtype if dtype == "auto" else getattr(torch, dtype)}
    loaded, told = _had(
        model,
        lambda local: AutoModelForSequenceClassification.from_pretrained(
            **where, **options, local_files_only=local, output_loading_info=True
        ),
    )
    if missing := sorted(told["missing_keys"]):
        raise CannotLoad(f"{model} is no trained classifier: it has no {missing[0]}: name one fine-tuned for this")
    return loaded.eval()


def _window(model: str, config: Any, tokenizer: Any, max_tokens: int, overlap_tokens: int) -> int:
    """Word pieces a window may have: what is stated, or what the model can take if that is less."""
    if not tokenizer.is_fast:
        raise CannotLoad(f"{model} has no fast tokenizer, which long texts need: add a tokenizer.json to it")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    tokenizer.padding_side = "right"
    positions = getattr(config, "max_position_embeddings", None) or max_tokens
    if "roberta" in config.model_type or config.model_type in ("camembert", "mpnet", "longformer"):
        positions -= config.pad_token_id + 1  # these count positions from behind the padding's
    window = min(max_tokens, positions, tokenizer.model_max_length)
    text_tokens = window - tokenizer.num_special_tokens_to_add()
    if overlap_tokens >= text_tokens:
        raise CannotLoad(
            f"overlap_tokens: {overlap_tokens} leaves no new text in a window of {window} of {model}: state less"
        )
    return int(window)
