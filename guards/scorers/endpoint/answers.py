"""What servers answer: the parts of OpenAI's chat, completion and moderation objects that are read.

Anything else, or anything missing, is `EndpointError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from guards.scorers.endpoint.connection import EndpointError


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token, and the log-probabilities of the likeliest at its place by text."""

    text: str
    top: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model wrote, whole and by token (no token where log-probabilities were not asked for)."""

    text: str
    tokens: tuple[Token, ...]


class Moderation(msgspec.Struct):
    """One result of a moderation API."""

    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None]


class _Likely(msgspec.Struct):
    token: str
    logprob: float


class _Place(msgspec.Struct):
    token: str
    top_logprobs: list[_Likely]


class _ChatLogprobs(msgspec.Struct):
    content: list[_Place] | None = None


class _Message(msgspec.Struct):
    content: str


class _ChatChoice(msgspec.Struct):
    message: _Message
    logprobs: _ChatLogprobs | None = None


class _Chat(msgspec.Struct):
    choices: list[_ChatChoice]


class _TextLogprobs(msgspec.Struct):
    tokens: list[str]
    top_logprobs: list[dict[str, float] | None] | None = None


class _TextChoice(msgspec.Struct):
    text: str
    logprobs: _TextLogprobs | None = None


class _Completion(msgspec.Struct):
    choices: list[_TextChoice]


class _Moderations(msgspec.Struct):
    results: list[Moderation]


T = TypeVar("T")


def chat(body: bytes) -> Said:
    """The only choice of a chat completion."""
    choice = _only("choice", _decoded(body, _Chat).choices)
    places = (choice.logprobs and choice.logprobs.content) or []
    # The same text may stand for several tokens: the first is the likeliest.
    tokens = [Token(place.token, {t.token: t.logprob for t in reversed(place.top_logprobs)}) for place in places]
    return Said(choice.message.content, tuple(tokens))


def completion(body: bytes) -> Said:
    """The only choice of a completion."""
    choice = _only("choice", _decoded(body, _Completion).choices)
    found = choice.logprobs
    if found is None or found.top_logprobs is None:
        return Said(choice.text, ())
    if len(found.tokens) != len(found.top_logprobs):
        raise EndpointError("the answer's tokens and log-probabilities differ in number")
    places = zip(found.tokens, found.top_logprobs, strict=True)
    return Said(choice.text, tuple(Token(text, top or {}) for text, top in places))


def moderation(body: bytes) -> Moderation:
    """The only result of a moderation."""
    return _only("result", _decoded(body, _Moderations).results)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec's words name the place, and quote nothing of the answer.
        raise EndpointError(f"the answer cannot be read: {type(error).__name__}: {error}") from error


def _only(what: str, found: Sequence[T]) -> T:
    if len(found) != 1:
        raise EndpointError(f"the answer has {len(found)} {what}s, not one")
    return found[0]
