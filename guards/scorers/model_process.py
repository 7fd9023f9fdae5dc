"""A model process from the inside: load a model, answer batches until the pipes close.

It is spawned, so it holds nothing of its parent's. Batches and results cross the pipes as MessagePack.
"""

import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from guards.told import storable, told

Judge = Callable[[list[Any]], Sequence[Any]]
"""A loaded model: one result (plain data) for each of the items (plain data) of a batch."""


class CannotLoad(Exception):
    """What a loader raises where the user has to act; the message is told without the exception's name."""


class ModelSpec(msgspec.Struct, frozen=True):
    """Which model a process owns: `loader`, "module:function", is called there with `arguments` (plain data)."""

    loader: str
    arguments: Mapping[str, Any]


class Loaded(msgspec.Struct, frozen=True):
    """The first message: the model is ready, or why it is not, in one line."""

    failure: str = ""


class Found(msgspec.Struct, array_like=True, frozen=True):
    """What the model found in one item, or the exception that it raised, in one line."""

    result: Any = None
    failure: str = ""


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """The answer to a batch, in its order, and when the model worked on it (monotonic ns)."""

    started_ns: int
    ended_ns: int
    found: list[Found]


def serve(pipes: list[Connection], spec: bytes) -> None:
    """The process's whole life. Each pipe is served by a thread of its own, which all use the one model."""
    # A Ctrl-C in the terminal is the driver's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A thread a core for a batch's tokenisation would wait for cores that another process holds.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        judge = _load(msgspec.msgpack.decode(spec, type=ModelSpec))
    except Exception as error:  # noqa: BLE001 - the driver says it to the user, in one line
        why = storable(str(error), 600) if isinstance(error, CannotLoad) else told(error)
        pipes[0].send_bytes(msgspec.msgpack.encode(Loaded(why)))
        return
    for pipe in pipes[1:]:
        threading.Thread(target=_answer, args=(pipe, judge), daemon=True).start()
    pipes[0].send_bytes(msgspec.msgpack.encode(Loaded()))
    _answer(pipes[0], judge)


def judged(judge: Judge, items: list[Any]) -> list[Found]:
    """Every item's result. A batch that fails is tried in halves, so that only what fails alone is lost."""
    try:
        results = judge(items)
        if len(results) != len(items):
            raise ValueError(f"the model gave {len(results)} results for {len(items)} texts")
        return [Found(result) for result in results]
    except Exception as error:  # noqa: BLE001 - out of memory or whatever else: the asker is told, the process lives on
        failure = told(error)
    # Out here the exception and the tensors that its traceback held are gone.
    if len(items) == 1:
        return [Found(failure=failure)]
    half = len(items) // 2
    return judged(judge, items[:half]) + judged(judge, items[half:])


def _load(spec: ModelSpec) -> Judge:
    module, _, function = spec.loader.partition(":")
    loaded: Judge = getattr(importlib.import_module(module), function)(**spec.arguments)
    return loaded


def _answer(pipe: Connection, judge: Judge) -> None:
    # A pipe that closes, for whatever reason, tells the driver that nobody answers here any more.
    with pipe:
        while True:
            try:
                items = msgspec.msgpack.decode(pipe.recv_bytes())
            except (EOFError, OSError):
                return
            started_ns = time.monotonic_ns()
            found = judged(judge, items)
            pipe.send_bytes(msgspec.msgpack.encode(Reply(started_ns, time.monotonic_ns(), found)))
