"""The generator: one async method, which engines and guarded stacks both are."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from guards.subject import Message, Subject
from guards.trace import EngineTimes, Trace

# "stop" and "length" come from the engine; the rest from guards.
FinishReason = Literal["stop", "length", "blocked", "cut", "refused", "abort"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. `n` candidates share a prompt; `ignore_eos` fixes the length at `max_tokens`."""

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    n: int = 1
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One request; its `trace` is written by everything that it passes through."""

    request_id: str
    messages: tuple[Message, ...]
    sampling: Sampling
    trace: Trace = field(default_factory=Trace, compare=False)

    @property
    def prompt_text(self) -> str:
        """What an input classifier judges: every user turn, newline-separated."""
        return "\n".join(m.content for m in self.messages if m.role == "user")

    @property
    def prompt(self) -> Subject:
        """The prompt as a scorer judges it."""
        return Subject(self.prompt_text, "prompt", self.messages)

    def answer(self, text: str) -> Subject:
        """The answer, or a window of it, as a scorer judges it."""
        return Subject(text, "answer", (*self.messages, Message("assistant", text)))


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of generated text.

    `emitted_ns` is when its last token left the engine (monotonic ns); guards that hold a delta back
    pass that on unchanged. `finish_reason` is set on the last delta of a candidate, `times` with it.
    `prompt_tokens` is the length of the request's prompt, 0 where the engine does not say.
    """

    text: str
    tokens: int
    emitted_ns: int
    index: int = 0
    finish_reason: FinishReason | None = None
    times: EngineTimes | None = None
    prompt_tokens: int = 0


class GenerationError(RuntimeError):
    """An engine failed this request; others may still succeed."""


class EngineDied(GenerationError):
    """The engine is gone: no request can succeed any more."""


class Generator(Protocol):
    """Anything that turns a request into a stream of deltas.

    Closing the stream early (`aclose`) aborts the work behind it.
    """

    def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        """Stream the answer; the last delta of each candidate carries a finish reason."""
        ...


__all__ = [
    "Delta",
    "EngineDied",
    "FinishReason",
    "GenerationError",
    "GenerationRequest",
    "Generator",
    "Message",
    "Sampling",
]
