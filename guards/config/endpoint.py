"""An endpoint scorer as a scenario states it, and how it is opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from guards.config.base import Strict
from guards.families import Family, family_for, family_named
from guards.guard import Scorer
from guards.scorers.endpoint.address import checked_url, is_plain, key_from

_Name = Annotated[str, Field(min_length=1)]


class EndpointConfig(Strict):
    """A guard model (`api: chat`) or a moderation API (`api: moderation`) behind an OpenAI-compatible server.

    `family` is deduced from the model's name where it is left out. `read`: the verdict's text, or the log-probability
    of its label. `key_env` names the environment variable that holds the key; without it none is sent. `unsafe` are
    the moderation categories that count, all where it is left out. `plain_http` lets prompts cross a network in
    clear.
    """

    kind: Literal["endpoint"]
    url: str
    api: Literal["chat", "moderation"] = "chat"
    model: _Name
    family: str | None = None
    read: Literal["text", "logprob"] = "text"
    unsafe: Annotated[tuple[_Name, ...], Field(min_length=1)] | None = None
    key_env: _Name | None = None
    plain_http: bool = False
    request_timeout_ms: float = Field(default=5000.0, gt=0, allow_inf_nan=False)
    retries: int = Field(default=2, ge=0, le=10)
    backoff_ms: float = Field(default=100.0, ge=0, allow_inf_nan=False)
    connections: int = Field(default=16, ge=1, le=1024)

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        return checked_url(url)

    @model_validator(mode="after")
    def _safe_to_send(self) -> Self:
        if is_plain(self.url) and self.key_env is not None:
            raise ValueError("`key_env` over plain http would show the key to the network: use https")
        if is_plain(self.url) and not self.plain_http:
            raise ValueError("plain http shows prompts to the network: use https, or say `plain_http: true`")
        return self

    @model_validator(mode="after")
    def _keys_fit_the_api(self) -> Self:
        if self.api == "chat":
            self._check_chat()
        elif self.family is not None or self.read != "text":
            raise ValueError("`family` and `read` are for `api: chat`: leave them out")
        return self

    def _check_chat(self) -> None:
        if self.unsafe is not None:
            raise ValueError("`unsafe` is for `api: moderation`: leave it out")
        family = self.known_family
        if self.read == "logprob" and family.reading.score_at is None:
            raise ValueError(f"{family.name} has no label position to score: use `read: text`")

    @property
    def known_family(self) -> Family:
        """The family that is named, or that the model's name tells.

        Raises:
            ValueError: there is none.
        """
        if self.family is not None:
            return family_named(self.family)
        found = family_for(self.model)
        if found is None:
            raise ValueError(f"`{self.model}` is of no known family: name one with `family:`, such as llama-guard-3")
        return found


@asynccontextmanager
async def open_endpoint(config: EndpointConfig) -> AsyncIterator[Scorer]:
    """The scorer with a pool of connections, which are closed in the end.

    Raises:
        GuardConfigError: the key's variable is not set.
    """
    from guards.scorers.endpoint.chat import ChatScorer
    from guards.scorers.endpoint.connection import Connection
    from guards.scorers.endpoint.moderation import ModerationScorer
    from guards.scorers.endpoint.retry import Retry

    key = None if config.key_env is None else key_from(config.key_env, config.url)
    retry = Retry(config.retries, config.backoff_ms, longest_ms=config.request_timeout_ms)
    connection = Connection(
        config.url, key, request_timeout_ms=config.request_timeout_ms, retry=retry, connections=config.connections
    )
    try:
        if config.api == "moderation":
            yield ModerationScorer(connection, config.model, config.unsafe)
        else:
            yield ChatScorer(connection, config.model, config.known_family, config.read)
    finally:
        await connection.close()
