"""What a guard answers: a frozen verdict."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What is to be done with the text that was judged."""

    ALLOW = "allow"
    BLOCK = "block"
    REDACT = "redact"
    REWRITE = "rewrite"
    FLAG = "flag"


class Status(StrEnum):
    """Whether the guard could judge at all. Only `OK` is a judgement."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class TextSpan:
    """Half-open range [start, end) of characters in the judged text."""

    start: int
    end: int
    category: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A guard's answer about one text.

    `p_unsafe` and `p_refusal` are probabilities in [0, 1], None where the guard gives none.
    """

    action: Action
    p_unsafe: float | None = None
    p_refusal: float | None = None
    categories: tuple[str, ...] = ()
    spans: tuple[TextSpan, ...] = ()
    status: Status = Status.OK
    detail: str = ""
