"""Scorers as a scenario states them: one class a kind."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from guards.config.base import Probability, Strict
from guards.config.endpoint import EndpointConfig
from guards.config.transformer import TransformerConfig
from guards.config.vllm import VllmHeadConfig, VllmJudgeConfig
from guards.scorers.frameworks import Package
from guards.scorers.streamable import linear


class EmbeddingConfig(Strict):
    """The embedded classifier: sentence embedding and a linear head. `refusal`: p(refusal) too.

    `threads` are the worker's, each with batches of its own; guards that state the same number share a worker.
    """

    kind: Literal["embedding"]
    head: Literal["prompt", "answer", "refusal"] = "prompt"
    refusal: bool = False
    threads: int = Field(default=1, ge=1)


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


class FrameworkConfig(Strict):
    """A guard of another framework, by its package. `options` are the adapter's own; `threads` as for a callable."""

    kind: Literal["framework"]
    package: Package
    options: dict[str, Any] = Field(default_factory=dict)
    threads: int = Field(default=4, ge=1, le=64)
    max_match_chars: int = Field(default=0, ge=0)

    @field_validator("options")
    @classmethod
    def _no_keys(cls, options: dict[str, Any]) -> dict[str, Any]:
        if name := next((key for key, value in _leaves(options) if _SECRET.search(key) and isinstance(value, str)), ""):
            raise ValueError(f"`{name}` would be stored with the run: set the package's environment variable instead")
        return options


_SECRET = re.compile(r"(^|_)(api_?key|password|secret|secret_key|token)$", re.IGNORECASE)


def _leaves(options: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested options, with the key that it stands under."""
    if isinstance(options, dict):
        for name, value in options.items():
            yield from _leaves(value, str(name))
    elif isinstance(options, list):
        for value in options:
            yield from _leaves(value, key)
    else:
        yield key, options


class CascadeConfig(Strict):
    """`cascade: [cheap, dear]`: the dear scorer judges where the cheap p(unsafe) lies in `band`, ends included."""

    kind: Literal["cascade"]
    cascade: tuple["ScorerConfig", "ScorerConfig"]
    band: tuple[Probability, Probability] = (0.2, 0.8)

    @field_validator("band")
    @classmethod
    def _in_order(cls, band: tuple[float, float]) -> tuple[float, float]:
        if band[0] > band[1]:
            raise ValueError(f"`band` is [{band[0]:g}, {band[1]:g}]: put the lower end first")
        return band


ScorerConfig = Annotated[
    EmbeddingConfig
    | RulesConfig
    | CallableConfig
    | FrameworkConfig
    | TransformerConfig
    | EndpointConfig
    | VllmJudgeConfig
    | VllmHeadConfig
    | CascadeConfig,
    Field(discriminator="kind"),
]


def parts(config: ScorerConfig) -> Iterator[ScorerConfig]:
    """`config` and the scorers that it is made of."""
    yield config
    if isinstance(config, CascadeConfig):
        for part in config.cascade:
            yield from parts(part)
