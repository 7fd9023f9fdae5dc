"""The `transformer` scorer as a scenario states it, and how it is started."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from guards.config.base import Strict
from guards.loading import GuardConfigError
from guards.scorers.batching import Batching
from guards.scorers.model_process import ModelSpec
from guards.scorers.model_worker import ModelNotLoaded, ModelWorker
from guards.scorers.transformer import TransformerScorer


class TransformerConfig(Strict):
    """A sequence classifier by hub id or folder. `unsafe` None and `multi_label` None: as the model's own names say.

    Longer texts than `max_tokens` are judged in segments that overlap. A batch leaves when it is full or when its
    oldest text has waited `max_wait_ms`.
    """

    kind: Literal["transformer"]
    model: str = Field(min_length=1)
    revision: str | None = None
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    unsafe: list[Annotated[str, Field(min_length=1)]] | None = Field(default=None, min_length=1)
    multi_label: bool | None = None
    max_tokens: int = Field(default=512, ge=8)
    overlap_tokens: int = Field(default=64, ge=0)
    max_batch: int = Field(default=32, ge=1, le=1024)
    max_wait_ms: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _segments_advance(self) -> "TransformerConfig":
        if self.overlap_tokens >= self.max_tokens:
            raise ValueError(
                f"`overlap_tokens: {self.overlap_tokens}` is not under `max_tokens: {self.max_tokens}`: state less"
            )
        return self


@asynccontextmanager
async def open_transformer(config: TransformerConfig) -> AsyncIterator[TransformerScorer]:
    """Start a worker with the model, stop it in the end.

    Raises:
        GuardConfigError: the model cannot be had as it is stated.
        WorkerDied: the worker process ended while it loaded.
    """
    where = f"scorer {{kind: transformer, model: {config.model}}}"
    _check_named(config.model, where)
    arguments = config.model_dump(exclude={"kind", "max_wait_ms"})
    try:
        worker = await ModelWorker.start(
            ModelSpec("guards.scorers.transformer_model:load", arguments),
            Batching(config.max_batch, config.max_wait_ms),
        )
    except ModelNotLoaded as error:
        raise GuardConfigError(f"{where}: {error}") from error
    try:
        yield TransformerScorer(worker)
    finally:
        await worker.close()


def _check_named(model: str, where: str) -> None:
    folder = Path(model)
    if folder.exists() and not (folder / "config.json").is_file():
        raise GuardConfigError(f"{where}: {model} holds no config.json: name a model folder or a hub id")
    if not folder.exists() and (model.startswith((".", "/", "~")) or model.count("/") != 1):
        raise GuardConfigError(f"{where}: no folder {model}, and not a hub id (owner/name): check the path")
