"""vLLM's `AsyncLLM`, started and stopped: what the generator's engine and the guard models' have in common."""

import asyncio
import gc
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from guards.trace import EngineTimes
from profiler.engines.vllm_args import installed_vllm, prepare_environment
from profiler.engines.watcher import start_watcher, stop_watcher
from profiler.errors import UserError


class RunningLlm:
    """A started `AsyncLLM` and the processes that it started. Make one with `await RunningLlm.start(...)`."""

    def __init__(self, llm: Any, pids: tuple[int, ...]) -> None:
        """Wrap a started `AsyncLLM`."""
        self.llm = llm
        self.pids = pids
        self._watcher = start_watcher(pids)

    @classmethod
    async def start(
        cls, model: str, settings: Mapping[str, Any], where: str, stat_loggers: Sequence[type] = ()
    ) -> "RunningLlm":
        """Start vLLM on a model folder or hub id with engine arguments by vLLM's names.

        `stat_loggers`, where there are any, take the place of vLLM's own. One engine is started at a time, so
        that its processes are told from another's.

        Raises:
            UserError: vLLM refused the arguments or the model; its own words are in the message.
        """
        prepare_environment()
        installed_vllm()
        before = _children()
        starting = asyncio.ensure_future(asyncio.to_thread(_start, model, dict(settings), where, stat_loggers))
        try:
            llm = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # vLLM cannot be stopped half started.
            await asyncio.to_thread((await starting).shutdown)
            raise
        llm._run_output_handler()
        return cls(llm, tuple(sorted(_children() - before)))

    async def close(self) -> None:
        """Stop the engine and its processes."""
        # The reader of the engine's output goes first: it takes the engine's end for a failure.
        if (handler := self.llm.output_handler) is not None:
            handler.cancel()
            await asyncio.gather(handler, return_exceptions=True)
        await asyncio.to_thread(self._shut_down)
        await asyncio.to_thread(stop_watcher, self._watcher)
        gc.collect()

    def _shut_down(self) -> None:
        # AsyncLLM's finaliser shuts down again: it must run while the interpreter is whole, so that the last
        # reference goes here, and not when the thread pool drops its own.
        llm, self.llm = self.llm, None
        llm.shutdown()


def _start(model: str, settings: dict[str, Any], where: str, stat_loggers: Sequence[type]) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    # A Ctrl-C in the terminal goes to the whole process group. The engine inherits this mask, so only
    # the driver hears it and can shut the engine down in order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        args = AsyncEngineArgs(model=model, **{"use_tqdm_on_load": False, **settings})
        return AsyncLLM.from_engine_args(args, stat_loggers=list(stat_loggers) or None)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise UserError(f"{where}: vLLM refused the engine settings or the model: {one_line(error)}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request that it does not take; a class of its own since about 0.30."""
    from vllm import exceptions

    own = getattr(exceptions, "VLLMValidationError", ValueError)
    return (ValueError, own)


def one_line(error: Exception) -> str:
    """An error's message without line breaks, at most 400 characters of it."""
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else text[:400] + " …"


def engine_times(stats: Any) -> EngineTimes | None:
    """The engine's own timestamps of a request; None where vLLM gives none."""
    if stats is None:
        return None
    marks = (stats.queued_ts, stats.scheduled_ts, stats.first_token_ts, stats.last_token_ts)
    return EngineTimes(*(round(seconds * 1e9) for seconds in marks))


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}
