"""What a family file says: how a guard model is asked and how its answer is read."""

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from guards.subject import Side
from guards.verdict import Action

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_PLACEHOLDERS = frozenset({"user", "answer", "conversation", "policy", "side"})


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Label(_Model):
    """One label of the model's vocabulary and what it means. `p_unsafe` in [0, 1]."""

    p_unsafe: float = Field(ge=0.0, le=1.0)
    action: Action


class Part(_Model):
    """One chat message of a template.

    Placeholders: `{{user}}`, `{{answer}}`, `{{conversation}}`, `{{policy}}`, `{{side}}` (its name in `side_names`).
    """

    role: Literal["system", "user", "assistant"]
    content: str


class Template(_Model):
    """How the model is asked.

    `own_chat_template`: the engine must apply the chat template that ships with the weights.
    `turns_first`: the judged conversation itself becomes the chat messages, before `messages`.
    `markers`: strings that would end the judged text early, wherever they stand (special tokens, closing tags).
    `headers`: strings that would do so at the start of a line (section headings of the template).
    """

    own_chat_template: bool
    turns_first: bool = False
    messages: dict[Side, tuple[Part, ...]] = {}
    raw: dict[Side, str] = {}
    raw_adds_special_tokens: bool = True  # whether the tokenizer is to put its first token before a raw prompt
    kwargs: dict[Side, dict[str, str | bool | dict[str, str]]] = {}
    turn_names: dict[Literal["user", "assistant"], str] = {"user": "User", "assistant": "Agent"}
    side_names: dict[Side, str] = {}
    policy: dict[Side, str] = {}
    no_answer: str = ""  # what stands for the answer when a prompt is judged
    markers: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.raw and (self.own_chat_template or self.turns_first or self.messages):
            raise ValueError("a raw template takes no chat messages and no chat template")
        texts = [*self.raw.values(), *(part.content for parts in self.messages.values() for part in parts)]
        unknown = {name for text in texts for name in PLACEHOLDER.findall(text)} - _PLACEHOLDERS
        if unknown:
            raise ValueError(f"unknown placeholders {sorted(unknown)}; known: {sorted(_PLACEHOLDERS)}")
        # A marker is broken by a space after its first character: that must not make another marker.
        for marker in self.markers:
            if len(marker) < 2 or marker[1] == " ":
                raise ValueError(f"marker {marker!r} cannot be broken by a space after its first character")
        return self


class Reasoning(_Model):
    """Thinking before the verdict: everything up to `close`, which may occur once only."""

    open: str
    close: str
    required: bool = False


class Form(_Model):
    """One shape of the whole output. `sides` empty: both.

    `pattern` (for `text`): a regular expression that must match the whole output; its named groups are the fields.
    `keys` (for `json`): field -> JSON key; `needs`: keys that must be there; `also`: keys that may be there, unread.
    """

    kind: Literal["text", "json"]
    sides: tuple[Side, ...] = ()
    pattern: str = ""
    keys: dict[str, str] = {}
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.kind == "text") != bool(self.pattern) or (self.kind == "json") != bool(self.keys):
            raise ValueError("a text form has a pattern, a json form has keys")
        if self.pattern:
            re.compile(self.pattern)
        return self


class ScoreAt(_Model):
    """Where the label token is.

    `after` is what the model writes (or is made to write) before it: the position scored is the one that follows.
    `tokens`: label -> the token texts that count for it.
    """

    after: str
    tokens: dict[str, tuple[str, ...]]


class Reading(_Model):
    """How the output becomes a verdict.

    `label_field`, `categories_field`: which field of the form speaks of which side.
    `end_tokens`: stripped once from the end, for engines that leave special tokens in.
    """

    forms: tuple[Form, ...] = Field(min_length=1)
    labels: dict[str, Label]
    label_field: dict[Side, str]
    categories_field: dict[Side, str] = {}
    refusal: dict[str, float | None] = {}
    no_category: tuple[str, ...] = ()
    reasoning: Reasoning | None = None
    end_tokens: tuple[str, ...] = ()
    score_at: ScoreAt | None = None

    @model_validator(mode="after")
    def _labels_known(self) -> Self:
        unknown = set(self.score_at.tokens if self.score_at else ()) - set(self.labels)
        if unknown:
            raise ValueError(f"score_at names labels that the family has not: {sorted(unknown)}")
        return self


class Example(_Model):
    """What the model wrote and what it means. `source` says where from; a made one is "written from the format"."""

    output: str
    side: Side
    p_unsafe: float
    categories: tuple[str, ...] = ()
    p_refusal: float | None = None
    source: str


class Family(_Model):
    """One family of guard models. `source`: cards that it was written from; `unverified`: what none of them shows."""

    name: str
    hub_ids: tuple[str, ...] = Field(min_length=1)
    licence: str
    source: tuple[str, ...] = Field(min_length=1)
    unverified: tuple[str, ...] = ()
    judges: tuple[Side, ...] = Field(min_length=1)
    max_new_tokens: int = Field(ge=1)
    template: Template
    reading: Reading
    categories: dict[str, str] = {}
    examples: tuple[Example, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sides_covered(self) -> Self:
        for side in self.judges:
            asked = self.template.turns_first or side in self.template.messages or side in self.template.raw
            if not asked or side not in self.reading.label_field:
                raise ValueError(f"judges {side} but has no template or no label field for it")
        return self
