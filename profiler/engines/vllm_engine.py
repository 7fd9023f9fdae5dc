"""vLLM in process: `AsyncLLM` behind the generator protocol."""

import asyncio
import gc
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import psutil

from guards.generation import (
    Delta,
    EngineDied,
    FinishReason,
    GenerationError,
    GenerationRequest,
    Sampling,
)
from guards.trace import EngineTimes
from profiler.engines.engine import EngineCounters
from profiler.engines.vllm_args import installed_vllm, is_cpu_build, prepare_environment
from profiler.engines.vllm_memory import EXTENSION, memory_facts
from profiler.errors import UserError

_RESET_S = 5.0
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class VllmEngine:
    """A running vLLM engine. Make one with `await VllmEngine.start(...)`."""

    def __init__(self, llm: Any, model: str, pids: tuple[int, ...], memory: Mapping[str, str] | None = None) -> None:
        """Wrap a started `AsyncLLM`; `memory` is what it says of its memory."""
        self._memory = dict(memory or {})
        self._llm = llm
        self._tokenizer = llm.get_tokenizer()
        self._model = model
        self._pids = pids

    @classmethod
    async def start(cls, model: str, settings: Mapping[str, Any], *, where: str = "scenario") -> "VllmEngine":
        """Start vLLM on a model folder or hub id with engine arguments by vLLM's names.

        Raises:
            UserError: vLLM refused the arguments or the model; its own words are in the message.
        """
        prepare_environment()
        installed_vllm()
        before = _children()
        llm = await asyncio.to_thread(_start_llm, model, dict(settings), where)
        llm._run_output_handler()
        return cls(llm, model, tuple(sorted(_children() - before)), await memory_facts(llm))

    @property
    def facts(self) -> Mapping[str, str]:
        """Engine, version, model, device and dtype; the KV pool and the workers' memory."""
        config = self._llm.vllm_config
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
        return self._pids

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
            stream = self._llm.generate(prompt, _sampling_params(request.sampling), request.request_id)
            async with aclosing(stream):
                async for output in stream:
                    now_ns = time.monotonic_ns()
                    for delta in _deltas(output, now_ns, len(tokens)):
                        yield delta
        except EngineDeadError as error:
            raise EngineDied(f"vLLM's engine process died: {error}") from error
        except (EngineGenerateError, *_refusals()) as error:
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
        while await self._llm.reset_prefix_cache() is False:
            if time.monotonic() > until_s:
                raise EngineDied(f"vLLM did not reset its prefix cache within {_RESET_S:g} s: blocks are still in use")

    def counters(self) -> EngineCounters:
        """Totals from vLLM's own Prometheus metrics, summed over this process's engines."""
        return EngineCounters(
            running=_metric("vllm:num_requests_running"),
            waiting=_metric("vllm:num_requests_waiting"),
            generation_tokens=_metric("vllm:generation_tokens"),
            aborted=_metric("vllm:request_success", finished_reason="abort"),
            preemptions=_metric("vllm:num_preemptions"),
        )

    async def close(self) -> None:
        """Stop the engine and its processes."""
        # The reader of the engine's output goes first: it takes the engine's end for a failure.
        if (handler := self._llm.output_handler) is not None:
            handler.cancel()
            await asyncio.gather(handler, return_exceptions=True)
        await asyncio.to_thread(self._llm.shutdown)
        # AsyncLLM's finaliser shuts down again; let it run while the interpreter is whole.
        self._llm = None
        gc.collect()


def _start_llm(model: str, settings: dict[str, Any], where: str) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    # A Ctrl-C in the terminal goes to the whole process group. The engine inherits this mask, so only
    # the driver hears it and can shut the engine down in order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        quiet = {"use_tqdm_on_load": False, "worker_extension_cls": EXTENSION}
        return AsyncLLM.from_engine_args(AsyncEngineArgs(model=model, **{**quiet, **settings}))
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise UserError(f"{where}: vLLM refused the engine settings or the model: {_one_line(error)}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request that it does not take; a class of its own since about 0.30."""
    from vllm import exceptions

    own = getattr(exceptions, "VLLMValidationError", ValueError)
    return (ValueError, own)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else text[:400] + " …"


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


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
        times = None if finish is None else _engine_times(output.metrics)
        deltas.append(Delta(piece.text, len(piece.token_ids), now_ns, piece.index, finish, times, prompt_tokens))
    return deltas


def _engine_times(stats: Any) -> EngineTimes | None:
    if stats is None:
        return None
    marks = (stats.queued_ts, stats.scheduled_ts, stats.first_token_ts, stats.last_token_ts)
    return EngineTimes(*(round(seconds * 1e9) for seconds in marks))


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
