"""Guard models on vLLM: what they write, how probable a label is, what a head says; and when."""

import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from guards.scorers.guard_model import Classes, GuardModelError, Times, TokenLogprobs, Written
from profiler.engines.vllm_llm import RunningLlm, engine_times, one_line, refusals

_numbers = itertools.count()
# As many as vLLM gives unless its `max_logprobs` says more.
_TOP = 20
_KEPT = 4096


class VllmWriter:
    """A generative guard model. `find` gives the `AsyncLLM`; the generator's own is there only once it runs."""

    def __init__(self, find: Callable[[], Any], who: str, *, by_id: bool = True) -> None:
        """`by_id`: ask for the label tokens by their ids where this vLLM can, not only for the likeliest tokens."""
        self._find = find
        self._who = who
        self._by_id = by_id

    @property
    def context_tokens(self) -> int:
        """Longest prompt and answer together."""
        return int(self._find().model_config.max_model_len)

    async def write(self, prompt: Sequence[int], max_tokens: int, sampling: Mapping[str, Any]) -> Written:
        """Let it write to its end or to `max_tokens`.

        Raises:
            GuardModelError: the engine is gone, or refused the request.
        """
        output, times = await self._ask(prompt, writing_params(max_tokens, sampling))
        return Written(output.text, times, cut=output.finish_reason == "length")

    async def next_token(self, prompt: Sequence[int], tokens: Sequence[int]) -> TokenLogprobs:
        """Log-probabilities of `tokens` after the prompt; one that vLLM did not give is left out.

        Raises:
            GuardModelError: the engine is gone, or refused the request.
        """
        output, times = await self._ask(prompt, _scoring_params(tokens, self._by_id))
        given = output.logprobs[0] if output.logprobs else {}
        values = {token: float(given[token].logprob) for token in tokens if token in given}
        return TokenLogprobs(values, Times(times.queued_ns, times.started_ns, times.ended_ns))

    async def _ask(self, prompt: Sequence[int], params: Any) -> tuple[Any, Times]:
        queued_ns = time.monotonic_ns()
        with _said_by(self._who):
            stream = self._find().generate({"prompt_token_ids": list(prompt)}, params, _request_id())
            last = await _last(stream)
        ended_ns = time.monotonic_ns()
        told = engine_times(last.metrics)
        started_ns = _between(queued_ns, told.scheduled_ns if told else 0, ended_ns)
        first_ns = _between(started_ns, told.first_token_ns if told else 0, ended_ns)
        return last.outputs[0], Times(queued_ns, started_ns, ended_ns, first_ns)


class VllmClassifier:
    """A model in a pooling engine that gives one number a label."""

    def __init__(self, running: RunningLlm, who: str, labels: tuple[str, ...], worked: "Worked") -> None:
        """`worked` is told by the engine how long it was at each request."""
        self._running = running
        self._who = who
        self._worked = worked
        self.labels = labels

    @property
    def exclusive(self) -> bool:
        """Whether vLLM puts a softmax over the labels."""
        config = self._running.llm.model_config.hf_config
        return getattr(config, "problem_type", None) != "multi_label_classification" and len(self.labels) > 1

    @property
    def context_tokens(self) -> int:
        """Longest input."""
        return int(self._running.llm.model_config.max_model_len)

    async def classify(self, prompt: Sequence[int]) -> Classes:
        """The model's own probabilities.

        Raises:
            GuardModelError: the engine is gone, or refused the request.
        """
        numbers, times = await self._ask(prompt, activated=True)
        return Classes(tuple(numbers.tolist()), times)

    async def _ask(self, prompt: Sequence[int], *, activated: bool) -> tuple[npt.NDArray[np.float64], Times]:
        from vllm import PoolingParams

        request_id, queued_ns = _request_id(), time.monotonic_ns()
        params = PoolingParams(task="classify", use_activation=activated)
        with _said_by(self._who):
            stream = self._running.llm.encode({"prompt_token_ids": list(prompt)}, params, request_id)
            last = await _last(stream)
        ended_ns = time.monotonic_ns()
        numbers = last.outputs.data.double().numpy().reshape(-1)
        if numbers.shape != (len(self.labels),):
            raise GuardModelError(f"{self._who} gave {numbers.size} numbers for {len(self.labels)} labels")
        # vLLM's pooling outputs have no times of their own: its statistics say how long it was at the request.
        worked_ns = self._worked.pop(request_id)
        started_ns = queued_ns if worked_ns is None else max(queued_ns, ended_ns - worked_ns)
        return numbers, Times(queued_ns, started_ns, ended_ns)


class VllmHead(VllmClassifier):
    """A causal model read by the rows of its output layer for some tokens; `labels` are their texts."""

    async def classify(self, prompt: Sequence[int]) -> Classes:
        """Softmax over the tokens' logits, as the model itself would have them.

        Raises:
            GuardModelError: the engine is gone, or refused the request.
        """
        logits, times = await self._ask(prompt, activated=False)
        config = self._running.llm.model_config.hf_config.get_text_config()
        logits = as_the_model_scales(logits, config)
        weights = np.exp(logits - logits.max())
        return Classes(tuple((weights / weights.sum()).tolist()), times)


def as_the_model_scales(logits: npt.NDArray[np.float64], config: Any) -> npt.NDArray[np.float64]:
    """What some models do to their logits after the output layer, which vLLM's classifying head leaves out.

    Gemma 2 caps them (`final_logit_softcapping`), Cohere and others multiply them (`logit_scale`), Granite divides
    them (`logits_scaling`): vLLM's `LogitsProcessor` and its callers in `model_executor/models`.
    """
    cap = getattr(config, "final_logit_softcapping", None)
    if cap:
        logits = np.tanh(logits / cap) * cap
    scale = getattr(config, "logit_scale", None) or 1.0
    if str(getattr(config, "model_type", "")).startswith("granite"):
        scale /= getattr(config, "logits_scaling", 1.0)
    return np.asarray(logits * scale)


class Worked:
    """How long an engine was at each finished request, from its statistics; kept until asked for."""

    def __init__(self) -> None:
        """Nothing is finished yet."""
        self._ns: dict[str, int] = {}

    def pop(self, request_id: str) -> int | None:
        """Nanoseconds from when the request was scheduled to its end; None where vLLM did not say."""
        return self._ns.pop(request_id, None)

    def add(self, statistics: Any) -> None:
        """Note what has finished in one step (vLLM's `IterationStats`). Aborted requests are nobody's."""
        for done in getattr(statistics, "finished_requests", None) or ():
            request_id = getattr(done, "request_id", None)
            if request_id is not None and str(done.finish_reason) != "abort":
                self._ns[request_id] = round(done.inference_time * 1e9)
        while len(self._ns) > _KEPT:  # of requests whose asker has left
            self._ns.pop(next(iter(self._ns)))


def own_statistics(worked: Worked) -> type:
    """A vLLM stat logger that feeds `worked` and stays out of the process's Prometheus registry.

    vLLM's own, made for a second engine, takes the first one's metrics out of the registry: the generator's counters
    would then be the guard's.
    """
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    def record(self: Any, scheduler_stats: Any, iteration_stats: Any, *more: Any, **named: Any) -> None:
        worked.add(iteration_stats)

    def nothing(self: Any, *arguments: Any, **named: Any) -> None:
        pass

    quiet = ("__init__", "log", "log_engine_initialized", "record_sleep_state", "record_admission_rejection")
    return type("GuardStatistics", (PrometheusStatLogger,), {"record": record, **dict.fromkeys(quiet, nothing)})


def writing_params(max_tokens: int, sampling: Mapping[str, Any]) -> Any:
    """Parameters for a written verdict, as vLLM takes them: greedy, special tokens kept, the whole text at once.

    Raises:
        TypeError, ValueError: no such parameter, or not such a value.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    given = dict(sampling)
    if isinstance(given.get("structured_outputs"), Mapping):
        given["structured_outputs"] = StructuredOutputsParams(**given["structured_outputs"])
    fixed = {"max_tokens": max_tokens, "output_kind": RequestOutputKind.FINAL_ONLY, "n": 1}
    return SamplingParams(**{"temperature": 0.0, "skip_special_tokens": False, **given, **fixed})


def _scoring_params(tokens: Sequence[int], by_id: bool) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    known = by_id and "logprob_token_ids" in SamplingParams.__struct_fields__
    asked: dict[str, Any] = {"logprob_token_ids": list(tokens)} if known else {"logprobs": _TOP}
    return SamplingParams(max_tokens=1, temperature=0.0, output_kind=RequestOutputKind.FINAL_ONLY, **asked)


@contextmanager
def _said_by(who: str) -> Iterator[None]:
    """Turn vLLM's refusals and its engine's death into errors of the guard model."""
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    try:
        yield
    except EngineDeadError as error:
        raise GuardModelError(f"the engine of {who} died") from error
    except (EngineGenerateError, *refusals()) as error:
        raise GuardModelError(f"{who}: vLLM: {one_line(error)}") from error


async def _last(stream: AsyncIterator[Any]) -> Any:
    """The last output; cancelled before it, vLLM aborts the request."""
    last = None
    async with aclosing(stream):  # type: ignore[type-var]
        async for output in stream:
            last = output
    if last is None or not last.finished:
        raise GuardModelError("vLLM ended the request without an answer")
    return last


def _request_id() -> str:
    return f"guard-{next(_numbers)}"


def _between(low: int, at: int, high: int) -> int:
    return min(max(low, at), high)
