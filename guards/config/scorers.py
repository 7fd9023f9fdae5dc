"""Scorers as a scenario states them: one class a kind."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from guards.config.base import Strict
from guards.scorers.streamable import linear


class EmbeddingConfig(Strict):
    """The embedded classifier: sentence embedding and a linear head. `refusal`: p(refusal) too."""

    kind: Literal["embedding"]
    head: Literal["prompt", "answer", "refusal"] = "prompt"
    refusal: bool = False


def _searchable(pattern: str) -> str:
    linear(pattern)
    return pattern


def _not_blank(word: str) -> str:
    if not word.strip():
        raise ValueError("a blank word would match everywhere: leave it out")
    return word


Word = Annotated[str, Field(max_length=200), AfterValidator(_not_blank)]
Pattern = Annotated[str, AfterValidator(_searchable)]
Secret = Literal["api-key", "private-key", "jwt"]
Personal = Literal["email", "phone", "credit-card", "iban", "ipv4", "us-ssn"]


class RulesConfig(Strict):
    """Word lists and regular expressions by category, and the built-in rules: all, none, or those named.

    `patterns` are RE2's, which is linear in the text, and of bounded length: `{1,64}` for `+`.
    """

    kind: Literal["rules"]
    words: dict[str, list[Word]] = Field(default_factory=dict)
    patterns: dict[str, list[Pattern]] = Field(default_factory=dict)
    secrets: bool | list[Secret] = True
    pii: bool | list[Personal] = True

    @model_validator(mode="after")
    def _finds_something(self) -> "RulesConfig":
        if not (any(self.words.values()) or any(self.patterns.values()) or self.secrets or self.pii):
            raise ValueError("there are no rules: give `words`, `patterns`, `secrets` or `pii`")
        return self


class CallableConfig(Strict):
    """A function of the user's: `module:function`. `threads` are a sync function's; `max_match_chars` its spans'."""

    kind: Literal["callable"]
    function: str = Field(min_length=1)
    threads: int = Field(default=4, ge=1, le=64)
    max_match_chars: int = Field(default=0, ge=0)


ScorerConfig = Annotated[EmbeddingConfig | RulesConfig | CallableConfig, Field(discriminator="kind")]


def parts(config: ScorerConfig) -> Iterator[ScorerConfig]:
    """`config` and the scorers that it is made of."""
    yield config
