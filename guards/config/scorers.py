"""Scorers as a scenario states them: one class a kind."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from guards.config.base import Probability, Strict
from guards.config.endpoint import EndpointConfig
from guards.config.vllm import VllmHeadConfig, VllmJudgeConfig
from guards.scorers.frameworks import Package


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
