"""Keeps the guard models of a run: each in an engine of its own, or in the generator's."""

import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from guards.scorers.guard_model import SERVED, ClassifyingModel, WritingModel
from profiler.engines.vllm_args import check_engine_settings, prepare_environment
from profiler.engines.vllm_engine import VllmEngine
from profiler.engines.vllm_guard import (
    VllmClassifier,
    VllmHead,
    VllmWriter,
    Worked,
    own_statistics,
    writing_params,
)
from profiler.engines.vllm_llm import RunningLlm, one_line
from profiler.engines.vllm_tokenizer import VllmTokenizer
from profiler.engines.weights import Weights, find_weights
from profiler.errors import UserError

# Set by the scorer itself.
_OURS = ("runner", "convert", "disable_log_stats")


class VllmHost:
    """Opens guard models on vLLM (`guards.scorers.guard_model.ModelHost`) and stops them when it is left.

    Guards are opened before the generator starts, so that mistakes are told at once; `serve` then gives those that
    ask the generator's own model its engine.
    """

    def __init__(self, served: Weights, where: str, tell: Callable[[str], None]) -> None:
        """`served` is what the generator runs on, `where` names the scenario in messages, `tell` says what starts."""
        self._served = served
        self._where = where
        self._tell = tell
        self._engine: VllmEngine | None = None
        self._found: dict[str, Weights] = {}
        self._running: dict[str, RunningLlm] = {}
        self._tokenizers: dict[str, VllmTokenizer] = {}
        self._worked: dict[str, Worked] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Nothing is started before it is asked for."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every engine that was started."""
        await self._stack.aclose()

    def serve(self, engine: VllmEngine) -> None:
        """The generator runs: its own model can be asked from now on."""
        self._engine = engine

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes of the guards' engines."""
        return tuple(pid for running in self._running.values() for pid in running.pids)

    async def reset_prefix_caches(self) -> None:
        """Forget the guards' cached prompts, so that no arm profits from what another one asked."""
        for running in self._running.values():
            if not running.llm.errored:
                await running.llm.reset_prefix_cache()

    def tokenizer(self, model: str, engine: Mapping[str, Any]) -> VllmTokenizer:
        """The model's tokenizer.

        Raises:
            UserError: it cannot be loaded.
        """
        weights = self._weights(model, engine)
        key = _key(weights)
        if key not in self._tokenizers:
            self._tokenizers[key] = VllmTokenizer.load(weights, self._at(model))
        return self._tokenizers[key]

    async def writing(self, model: str, engine: Mapping[str, Any]) -> WritingModel:
        """A model that writes.

        Raises:
            UserError: vLLM refused the model or the arguments.
        """
        if model == SERVED:
            return VllmWriter(self._served_llm, "the served model")
        running = await self._start(model, self._weights(model, engine))
        return VllmWriter(lambda: running.llm, model)

    def check_sampling(self, sampling: Mapping[str, Any]) -> None:
        """See that vLLM knows these sampling parameters.

        Raises:
            UserError: it does not.
        """
        try:
            writing_params(1, sampling)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self._where}: scorer vllm-judge: sampling: {one_line(error)}") from error

    async def head(self, model: str, engine: Mapping[str, Any], tokens: Mapping[int, str]) -> ClassifyingModel:
        """A causal model with the output layer's rows of `tokens` for a head (vLLM's `classifier_from_token`).

        Raises:
            UserError: vLLM refused the model or the arguments.
        """
        # vLLM looks the tokens up as pieces of the vocabulary, where a leading space has another sign.
        pieces = self.tokenizer(model, engine).pieces(list(tokens))
        made = {"classifier_from_token": pieces, "method": "no_post_processing"}
        weights = self._weights(model, engine)
        overrides = weights.settings.get("hf_overrides") or {}
        settings = {"runner": "pooling", "convert": "classify", "hf_overrides": {**overrides, **made}}
        weights = Weights(weights.model, {**weights.settings, **settings})
        running = await self._start(model, weights)
        return VllmHead(running, model, tuple(tokens.values()), self._worked[_key(weights)])

    async def classifier(self, model: str, engine: Mapping[str, Any]) -> ClassifyingModel:
        """A model that is a sequence classifier.

        Raises:
            UserError: vLLM refused the model or the arguments.
        """
        weights = self._weights(model, engine)
        weights = Weights(weights.model, {**weights.settings, "runner": "pooling"})
        running = await self._start(model, weights)
        names = running.llm.model_config.hf_config.id2label
        labels = tuple(str(names[index]) for index in sorted(names))
        return VllmClassifier(running, model, labels, self._worked[_key(weights)])

    def _weights(self, model: str, engine: Mapping[str, Any]) -> Weights:
        if model == SERVED:
            return self._served
        key = _key(Weights(model, engine))
        if key not in self._found:
            prepare_environment()
            check_engine_settings(engine, self._at(model))
            for name in _OURS:
                if name in engine:
                    raise UserError(f"{self._at(model)}: engine.{name} cannot be set here: the scorer sets it")
            self._found[key] = find_weights(model, engine, self._at(model))
        return self._found[key]

    async def _start(self, model: str, weights: Weights) -> RunningLlm:
        """The engine that runs on just these weights and arguments, started if it is not."""
        key = _key(weights)
        if key not in self._running:
            self._tell(f"starting vLLM with {model} for a guard")
            worked = self._worked[key] = Worked()
            settings = {**weights.settings, "disable_log_stats": True}
            running = await RunningLlm.start(weights.model, settings, self._at(model), (own_statistics(worked),))
            self._stack.push_async_callback(running.close)
            self._running[key] = running
        return self._running[key]

    def _served_llm(self) -> Any:
        if self._engine is None:
            raise RuntimeError("the served model was asked before the generator ran")
        return self._engine.llm

    def _at(self, model: str) -> str:
        return f"{self._where}: guard model {model}"


def _key(weights: Weights) -> str:
    return json.dumps([weights.model, dict(weights.settings)], sort_keys=True, default=str)
