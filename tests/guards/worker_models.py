"""Models that the tests of the worker process have it load: plain functions, no torch."""

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guards.scorers.model_process import CannotLoad


def batch_size() -> Callable[[list[Any]], list[Any]]:
    """Each text's result is how many were in its batch, and the process that judged it."""
    return lambda batch: [(len(batch), os.getpid()) for _ in batch]


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


def special(texts_that_fit: int = 1000) -> Callable[[list[str]], list[Any]]:
    """A model that texts tell what to do, and whose memory holds `texts_that_fit`."""
    seen: list[str] = []

    def judge(batch: list[str]) -> list[Any]:
        if len(batch) > texts_that_fit:
            raise OutOfMemoryError(f"no room for {len(batch)} texts")
        seen.extend(batch)
        return [_one(text, seen) for text in batch]

    return judge


def _one(text: str, seen: list[str]) -> Any:
    what, _, argument = text.partition(" ")
    match what:
        case "wait":  # until somebody writes to the FIFO, which may be never
            return Path(argument).read_text()
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise MemoryError(argument)
        case "nan":
            return [math.nan, []]
        case "object":
            return object()
        case "seen":
            return [text for text in seen if not text.startswith("wait")]
    return [0.25, []]


def wrong_count() -> Callable[[list[str]], list[Any]]:
    """One result too few."""
    return lambda batch: [0.5] * (len(batch) - 1)


def needs_the_user() -> Any:
    """What a loader does where the user has to act."""
    raise CannotLoad("the model is\nmissing: make it")


def broken() -> Any:
    """What a loader does that has a fault."""
    raise ZeroDivisionError("half of\nnothing")


def dies() -> Any:
    """A process that is killed while it loads."""
    os.kill(os.getpid(), signal.SIGKILL)
