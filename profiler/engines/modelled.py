"""A modelled engine: continuous batching like vLLM's, with times from parameters, deterministic under a seed.

It runs in virtual time (`profiler.engines.virtual_time`) or in real time. Tests and the calibration of the
statistics use it; it never stands in for vLLM in a reported figure. It models no KV-cache memory, so it
never preempts.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from guards.generation import Delta, EngineDied, GenerationError, GenerationRequest, Message
from guards.trace import EngineTimes
from profiler.engines.engine import EngineCounters
from profiler.engines.modelled_job import Job, Sequence
from profiler.engines.modelled_noise import SpeedNoise
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.modelled_text import Answer, answer
from profiler.engines.modelled_worker import Worker

# A step takes in whatever arrives in its first microsecond. Without it, a request sent at the instant a
# step ends would make the next step or miss it by how many coroutines it passes through.
_SCHEDULING_NS = 1_000
# Deltas handed out before the loop gets a turn, so that a large batch does not hold up other timers.
_HAND_OUT = 16
_CACHED_PREFILL_TOKENS = 16  # vLLM computes the last block of a cached prompt again

Script = Callable[[GenerationRequest, int], str | None]
Fault = Callable[[GenerationRequest], Exception | None]


def _no_script(request: GenerationRequest, index: int) -> None:
    return None


def _no_fault(request: GenerationRequest) -> None:
    return None


class ModelledEngine:
    """An `Engine` that takes its times from `ModelParameters`. It works only while it has requests.

    Args:
        parameters: the model.
        seed: of the noise, the texts and the natural lengths; a request id has the same answer each time.
        now_ns: the clock of the loop it runs in: `virtual_time.now_ns`, or `time.monotonic_ns`.
        script: text for a request's candidate, a word a token; None leaves it to the seed.
        fail: an exception for a request that is to fail when it arrives. `EngineDied` takes the engine
            and every request in it along.
    """

    def __init__(
        self,
        parameters: ModelParameters | None = None,
        *,
        seed: int = 0,
        now_ns: Callable[[], int] = time.monotonic_ns,
        script: Script = _no_script,
        fail: Fault = _no_fault,
    ) -> None:
        """Make an idle engine."""
        self._parameters = ModelParameters() if parameters is None else parameters
        self._seed = seed
        self._now_ns = now_ns
        self._script = script
        self._fail = fail
        self._noise = SpeedNoise(self._parameters.noise, seed)
        self._worker = Worker(now_ns)
        self._stepping = False
        # Ordered sets, so that an abort costs the same however many requests there are.
        self._waiting: OrderedDict[Job, None] = OrderedDict()
        self._prefilling: dict[Job, None] = {}
        self._decoding: dict[Sequence, None] = {}
        self._seats = 0  # sequences admitted, prefilling or decoding
        self._cached: set[tuple[Message, ...]] = set()
        self._dead: Exception | None = None
        self._tokens = 0
        self._aborted = 0

    @property
    def facts(self) -> Mapping[str, str]:
        """Says that this engine is modelled, with its seed and parameters."""
        return {
            "engine": "modelled",
            "version": "1",
            "model": "modelled",
            "device": "none",
            "dtype": "none",
            "seed": str(self._seed),
            "parameters": str(self._parameters),
        }

    @property
    def pids(self) -> tuple[int, ...]:
        """None: it runs in this process."""
        return ()

    def counters(self) -> EngineCounters:
        """Totals since the start; `running` counts sequences, `waiting` requests."""
        return EngineCounters(
            running=self._seats,
            waiting=len(self._waiting),
            generation_tokens=self._tokens,
            aborted=self._aborted,
            preemptions=0,
        )

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        """Stream one delta a token; closing the stream takes the request out of the batch.

        Raises:
            EngineDied: the engine was closed, or `fail` has killed it.
            GenerationError: `max_tokens` or `n` is out of range.
            Exception: whatever `fail` gave for this request.
        """
        job = self._submit(request)
        unread = request.sampling.n
        try:
            while unread:
                delta = await job.get()
                unread -= delta.finish_reason is not None
                yield delta
        finally:
            self._abort(job)

    async def reset_prefix_cache(self) -> None:
        """Forget every prompt seen."""
        self._cached.clear()

    async def close(self) -> None:
        """Fail what is running and take no more requests."""
        self._die(EngineDied("the modelled engine was closed"))

    def busy(self, extra_fraction: float) -> AbstractContextManager[None]:
        """Slow the engine down while the block runs: a step that takes t takes t * (1 + extra_fraction).

        Contenders add up, and a step under way feels the change at once: a guard that is busy for t while
        the engine works delays it by t * extra / (1 + sum of all extras).

        Raises:
            ValueError: a negative fraction.
        """
        return self._worker.busy(extra_fraction)

    # Requests: in and out.

    def _submit(self, request: GenerationRequest) -> Job:
        if self._dead is not None:
            raise EngineDied(str(self._dead)) from self._dead
        self._check(request)
        sampling = request.sampling
        tokens = self._prompt_tokens(request)
        job = Job(request, self._now_ns(), tokens, self._prefill_tokens(request, tokens), open=sampling.n)
        job.sequences = tuple(Sequence(job, i, self._answer(request, i)) for i in range(sampling.n))
        self._waiting[job] = None
        if not self._stepping:
            self._stepping = True
            self._worker.do_now(_SCHEDULING_NS, self._schedule)
        return job

    def _check(self, request: GenerationRequest) -> None:
        if request.sampling.max_tokens < 1:
            raise GenerationError(f"max_tokens must be at least 1, is {request.sampling.max_tokens}")
        if not 1 <= request.sampling.n <= self._parameters.max_num_seqs:
            raise GenerationError(f"n must be in 1..max_num_seqs, is {request.sampling.n}")
        error = self._fail(request)
        if isinstance(error, EngineDied):
            self._die(error)
        if error is not None:
            raise error

    def _prompt_tokens(self, request: GenerationRequest) -> int:
        chars = sum(len(message.content) for message in request.messages)
        return max(1, math.ceil(chars / self._parameters.chars_per_token))

    def _prefill_tokens(self, request: GenerationRequest, tokens: int) -> int:
        return min(tokens, _CACHED_PREFILL_TOKENS) if request.messages in self._cached else tokens

    def _answer(self, request: GenerationRequest, index: int) -> Answer:
        script = self._script(request, index)
        mean = self._parameters.mean_output_tokens
        return answer(self._seed, request.request_id, index, request.sampling, mean, script)

    def _abort(self, job: Job) -> None:
        if not job.open:
            return
        self._aborted += 1
        if job in self._waiting:
            del self._waiting[job]
        else:
            self._seats -= job.open
            self._prefilling.pop(job, None)
            for sequence in job.sequences:
                self._decoding.pop(sequence, None)
        job.open = 0

    def _die(self, error: Exception) -> None:
        self._dead = error
        jobs = {*self._waiting, *self._prefilling, *(sequence.job for sequence in self._decoding)}
        for job in jobs:
            job.fail(error)
        self._waiting.clear()
        self._prefilling.clear()
        self._decoding.clear()
        self._seats = 0
        self._stepping = False
        self._worker.stop()

    # Steps.

    def _begin_step(self) -> None:
        self._worker.do(_SCHEDULING_NS, self._schedule)

    def _schedule(self) -> None:
        decoding = len(self._decoding)
        prefill = self._prefill(self._parameters.max_batched_tokens - decoding)
        cost_ns = (
            self._parameters.step_base_ns
            + decoding * self._parameters.step_ns_per_sequence
            + prefill * self._parameters.prefill_ns_per_token
        )
        speed = self._noise.speed_at(self._worker.clock_ns) * self._noise.jitter()
        self._worker.do(cost_ns / speed - _SCHEDULING_NS, self._end_step)

    def _end_step(self) -> None:
        self._start_decoding()
        self._hand_out(tuple(self._decoding), 0)

    def _hand_out(self, batch: tuple[Sequence, ...], start: int) -> None:
        now_ns = self._now_ns()
        end = start + _HAND_OUT
        for sequence in batch[start:end]:
            if sequence in self._decoding:  # not aborted meanwhile
                self._emit(sequence, now_ns)
        if end < len(batch):
            asyncio.get_running_loop().call_soon(self._hand_out, batch, end)
        elif self._waiting or self._seats:
            self._begin_step()
        else:
            self._stepping = False

    def _emit(self, sequence: Sequence, now_ns: int) -> None:
        job, text = sequence.job, sequence.answer.word(sequence.emitted)
        sequence.emitted += 1
        self._tokens += 1
        job.first_token_ns = job.first_token_ns or now_ns
        if sequence.emitted < sequence.answer.tokens:
            job.put(Delta(text, 1, now_ns, sequence.index, prompt_tokens=job.prompt_tokens))
            return
        del self._decoding[sequence]
        self._seats -= 1
        job.open -= 1
        times = EngineTimes(job.queued_ns, job.scheduled_ns, job.first_token_ns, now_ns)
        finish = sequence.answer.finish_reason
        job.put(Delta(text, 1, now_ns, sequence.index, finish, times, job.prompt_tokens))

    def _prefill(self, budget: int) -> int:
        """Take prompt tokens into the step, oldest request first; returns how many."""
        left = budget
        for job in self._prefill_order():
            chunk = min(job.prefill_left, left)
            job.prefill_left -= chunk
            left -= chunk
            if not left:
                break
        return budget - left

    def _prefill_order(self) -> Iterator[Job]:
        yield from tuple(self._prefilling)
        while self._waiting:
            job = next(iter(self._waiting))
            if self._seats + len(job.sequences) > self._parameters.max_num_seqs:
                return
            del self._waiting[job]
            self._prefilling[job] = None
            self._seats += len(job.sequences)
            job.scheduled_ns = self._now_ns()
            yield job

    def _start_decoding(self) -> None:
        for job in [job for job in self._prefilling if not job.prefill_left]:
            del self._prefilling[job]
            self._decoding.update(dict.fromkeys(job.sequences))
            if self._parameters.prefix_caching:
                self._cached.add(job.request.messages)
