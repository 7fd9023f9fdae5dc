"""Scorers as a scenario states them: one class a kind."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from guards.config.base import Strict
from guards.config.transformer import TransformerConfig


class EmbeddingConfig(Strict):
    """The embedded classifier: sentence embedding and a linear head. `refusal`: p(refusal) too.

    `threads` are the worker's, each with batches of its own; guards that state the same number share a worker.
    """

    kind: Literal["embedding"]
    head: Literal["prompt", "answer", "refusal"] = "prompt"
    refusal: bool = False
    threads: int = Field(default=1, ge=1)


class RulesConfig(Strict):
    """Word lists by category, and the built-in patterns for secrets and personal data."""

    kind: Literal["rules"]
    words: dict[str, list[Annotated[str, Field(min_length=1)]]] = Field(default_factory=dict)
    pii: bool = True


class CallableConfig(Strict):
    """A function of the user's: `module:function`. `threads` are a sync function's; `max_match_chars` its spans'."""

    kind: Literal["callable"]
    function: str = Field(min_length=1)
    threads: int = Field(default=4, ge=1, le=64)
    max_match_chars: int = Field(default=0, ge=0)


ScorerConfig = Annotated[
    EmbeddingConfig | RulesConfig | CallableConfig | TransformerConfig, Field(discriminator="kind")
]


def parts(config: ScorerConfig) -> Iterator[ScorerConfig]:
    """`config` and the scorers that it is made of."""
    yield config
