"""What scorers need of a guard model. Engines, which this package knows nothing of, implement it.

Prompts are token ids, so that what is made to be written before a label is joined to the prompt as the model
itself would have written it, not as a tokenizer would cut the joined text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from guards.subject import Message

SERVED = "served"
"""As a guard's `model`: the generator's own engine, beside the traffic."""


class GuardModelError(RuntimeError):
    """The guard model gave no verdict: it is gone, refused the request, or wrote something else. Says which."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a model was asked, began, wrote its first token and was done (monotonic ns).

    `started_ns` is when the engine scheduled the request, `queued_ns` where it does not say; `first_ns` is 0 where
    nothing is written.
    """

    queued_ns: int
    started_ns: int
    ended_ns: int
    first_ns: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote, special tokens and all, without the one that ended it. `cut`: at `max_tokens`."""

    text: str
    times: Times
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Natural-log probabilities of the next token, by token id."""

    values: Mapping[int, float]
    times: Times


@dataclass(frozen=True, slots=True)
class Classes:
    """A classifier's probabilities in the order of its labels. They add up to 1 if its labels exclude each other."""

    probabilities: tuple[float, ...]
    times: Times


class Tokenizer(Protocol):
    """A model's tokenizer with its chat template."""

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Token ids of a text; special tokens that stand in it are read as such."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        ...

    def chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> str:
        """Chat messages in the model's own template, up to where the assistant's answer begins.

        Raises:
            ValueError: the model has no chat template, or the template refuses the messages.
        """
        ...


class WritingModel(Protocol):
    """A generative guard model."""

    @property
    def context_tokens(self) -> int:
        """Longest prompt and answer together."""
        ...

    async def write(self, prompt: Sequence[int], max_tokens: int, sampling: Mapping[str, Any]) -> Written:
        """Let it write; greedy unless `sampling` (parameters by the engine's names) says otherwise. Raises anything."""
        ...

    async def next_token(self, prompt: Sequence[int], tokens: Sequence[int]) -> TokenLogprobs:
        """How probable each of `tokens` is after the prompt. Raises anything."""
        ...


class ClassifyingModel(Protocol):
    """A model with a classifying head."""

    @property
    def context_tokens(self) -> int:
        """Longest input."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its labels, or texts of the tokens that stand for them."""
        ...

    @property
    def exclusive(self) -> bool:
        """Whether its labels exclude each other (softmax), or each stands alone (sigmoid)."""
        ...

    async def classify(self, prompt: Sequence[int]) -> Classes:
        """Read the prompt. Raises anything."""
        ...


class ModelHost(Protocol):
    """Opens models and keeps them until it is closed itself. The same model with the same `engine` is opened once.

    `model` is a hub id, a folder, `embedded`, or (for the first two methods) `served`. What cannot be opened raises
    an error of the host's own, in one line.
    """

    def tokenizer(self, model: str, engine: Mapping[str, Any]) -> Tokenizer:
        """The model's tokenizer; starts nothing."""
        ...

    async def writing(self, model: str, engine: Mapping[str, Any]) -> WritingModel:
        """Start the model for writing. Of the served one this is a handle until the generator runs."""
        ...

    def check_sampling(self, sampling: Mapping[str, Any]) -> None:
        """Refuse sampling parameters that the engine does not know."""
        ...

    async def head(self, model: str, engine: Mapping[str, Any], tokens: Mapping[int, str]) -> ClassifyingModel:
        """Start a causal model whose head is the rows of its output layer for `tokens` (id -> text), in this order."""
        ...

    async def classifier(self, model: str, engine: Mapping[str, Any]) -> ClassifyingModel:
        """Start a model that has a classifying head of its own."""
        ...
