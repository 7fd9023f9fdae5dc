"""vLLM in process: `AsyncLLM` behind the generator protocol."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from guards.generation import (
    Delta,
    EngineDied,
    FinishReason,
    GenerationError,
    GenerationRequest,
    Sampling,
)
from profiler.engines.engine import EngineCounters
from profiler.engines.model_size import PARAMETERS, model_parameters
from profiler.engines.vllm_args import installed_vllm, is_cpu_build
from profiler.engines.vllm_llm import RunningLlm, engine_times, refusals
from profiler.engines.vllm_memory import EXTENSION, memory_facts

_RESET_S = 5.0
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class VllmEngine:
    """A running vLLM engine. Make one with `await VllmEngine.start(...)`."""

    def __init__(
        self,
        running: RunningLlm,
        model: str,
        caches: Sequence[Callable[[], Awaitable[None]]] = (),
        memory: Mapping[str, str] | None = None,
    ) -> None:
        """Wrap a started engine. `caches` are further caches that are forgotten with its own; `memory` are facts."""
        self._running = running
        self._memory = dict(memory or {})
        self._tokenizer = running.llm.get_tokenizer()
        self._model = model
        self._caches = caches

    @classmethod
    async def start(
        cls,
        model: str,
        settings: Mapping[str, Any],
        *,
        where: str = "scenario",
        caches: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> "VllmEngine":
        """Start vLLM on a model folder or hub id with engine arguments by vLLM's names.

        Raises:
            UserError: vLLM refused the arguments or the model; its own words are in the message.
        """
        running = await RunningLlm.start(model, {"worker_extension_cls": EXTENSION, **settings}, where)
        size = await asyncio.to_thread(model_parameters, running.llm.vllm_config.model_config.hf_config)
        known = {} if size is None else {PARAMETERS: str(size)}
        return cls(running, model, caches, known | await memory_facts(running.llm))

    @property
    def llm(self) -> Any:
        """The running `AsyncLLM`, for whoever sends it requests beside the traffic."""
        return self._running.llm

    @property
    def facts(self) -> Mapping[str, str]:
        """Engine, version, model and its size, device and dtype; the KV pool and the workers' memory."""
        config = self.llm.vllm_config
        return {
            "engine": "vllm",
            "vllm_version": str(installed_vllm()) + ("+cpu" if is_cpu_build() else ""),
            "model": self._model,
            "device": str(config.device_config.device_type),
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            **self._memory,
        }

    @property
    def pids(self) -> tuple[int, ...]:
        """The engine core and its workers."""
        return self._running.pids

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        """Stream deltas; closing the stream aborts the request in vLLM's scheduler.

        Raises:
            EngineDied: the engine process is gone.
            GenerationError: this request failed.
        """
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        tokens = self._prompt_tokens(request)
        prompt = {"prompt_token_ids": tokens}
        try:
            stream = self.llm.generate(prompt, _sampling_params(request.sampling), request.request_id)
            async with aclosing(stream):
                async for output in stream:
                    now_ns = time.monotonic_ns()
                    for delta in _deltas(output, now_ns, len(tokens)):
                        yield delta
        except EngineDeadError as error:
            raise EngineDied(f"vLLM's engine process died: {error}") from error
        except (EngineGenerateError, *refusals()) as error:
            raise GenerationError(f"vLLM: {error}") from error

    def _prompt_tokens(self, request: GenerationRequest) -> list[int]:
        turns = [{"role": m.role, "content": m.content} for m in request.messages]
        text = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        # The template has already written the special tokens.
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return tokens

    async def reset_prefix_cache(self) -> None:
        """Forget every cached prompt prefix, once the last aborted request has given its blocks back.

        Raises:
            EngineDied: vLLM still holds blocks after some seconds; the arms would not start alike.
        """
        until_s = time.monotonic() + _RESET_S
        while await self.llm.reset_prefix_cache() is False:
            if time.monotonic() > until_s:
                raise EngineDied(f"vLLM did not reset its prefix cache within {_RESET_S:g} s: blocks are still in use")
        for reset in self._caches:
            await reset()

    def counters(self) -> EngineCounters:
        """Totals from vLLM's own Prometheus metrics; guard models' engines keep out of them."""
        return EngineCounters(
            running=_metric("vllm:num_requests_running"),
            waiting=_metric("vllm:num_requests_waiting"),
            generation_tokens=_metric("vllm:generation_tokens"),
            aborted=_metric("vllm:request_success", finished_reason="abort"),
            preemptions=_metric("vllm:num_preemptions"),
        )

    async def start_trace(self) -> None:
        """Begin to record under torch's profiler; the engine must have been started with a `profiler_config`."""
        await self.llm.start_profile()

    async def stop_trace(self) -> None:
        """Stop recording; the workers write their traces."""
        await self.llm.stop_profile()

    async def close(self) -> None:
        """Stop the engine and its processes."""
        await self._running.close()


def _sampling_params(sampling: Sampling) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    # A seeded request makes vLLM sample it alone; greedy decoding needs no seed.
    seed = sampling.seed if sampling.temperature > 0 else None
    return SamplingParams(
        n=sampling.n,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=seed,
        max_tokens=sampling.max_tokens,
        ignore_eos=sampling.ignore_eos,
        output_kind=RequestOutputKind.DELTA,
    )


def _deltas(output: Any, now_ns: int, prompt_tokens: int) -> list[Delta]:
    deltas = []
    for piece in output.outputs:
        finish = None if piece.finish_reason is None else _FINISH.get(piece.finish_reason, "abort")
        times = None if finish is None else engine_times(output.metrics)
        deltas.append(Delta(piece.text, len(piece.token_ids), now_ns, piece.index, finish, times, prompt_tokens))
    return deltas


def _metric(name: str, **labels: str) -> int:
    from prometheus_client import REGISTRY

    total = 0.0
    for family in REGISTRY.collect():
        if family.name != name:
            continue
        for sample in family.samples:
            wanted = all(sample.labels.get(key) == value for key, value in labels.items())
            if wanted and not sample.name.endswith("_created"):
                total += sample.value
    return round(total)
