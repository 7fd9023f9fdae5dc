"""Scorers as a scenario states them: one class a kind."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from guards.config.base import Strict
from guards.config.vllm import VllmHeadConfig, VllmJudgeConfig


class EmbeddingConfig(Strict):
    """The embedded classifier: sentence embedding and a linear head. `refusal`: p(refusal) too."""

    kind: Literal["embedding"]
    head: Literal["prompt", "answer", "refusal"] = "prompt"
    refusal: bool = False


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
    EmbeddingConfig | RulesConfig | CallableConfig | VllmJudgeConfig | VllmHeadConfig, Field(discriminator="kind")
]


def parts(config: ScorerConfig) -> Iterator[ScorerConfig]:
    """`config` and the scorers that it is made of."""
    yield config
