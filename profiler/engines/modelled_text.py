"""What the modelled engine says, and how much of it: a function of seed, request id and the candidate's own seed."""

import math
import re
from dataclasses import dataclass
from hashlib import blake2b

from guards.generation import FinishReason, Sampling

_FILLER = tuple(f"tok{number} " for number in range(1000))
_STRIDE = 389  # shares no factor with 1000: every filler word comes before one comes again
_WORD = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class Answer:
    """One candidate's text, a word a token: scripted words first, then filler."""

    scripted: tuple[str, ...]
    filler_start: int
    tokens: int
    finish_reason: FinishReason

    def word(self, position: int) -> str:
        """The token at a position counted from 0."""
        if position < len(self.scripted):
            return self.scripted[position]
        filler = _FILLER[(self.filler_start + position * _STRIDE) % len(_FILLER)]
        # A script carried on by `ignore_eos` may end without white space.
        return " " + filler if position and position == len(self.scripted) else filler


def answer(
    seed: int, request_id: str, index: int, sampling: Sampling, mean_tokens: float, script: str | None
) -> Answer:
    """Decide one candidate's words, length and finish reason.

    Candidate i has the request's seed + i, as in vLLM: asked for alone with that seed, it is the same.
    A script ends where its words end; without one the natural length is geometric with mean `mean_tokens`.
    `max_tokens` cuts either; `ignore_eos` carries either on to `max_tokens`.
    """
    key = blake2b(f"{seed}\0{request_id}\0{sampling.seed + index}".encode(), digest_size=16).digest()
    words = () if script is None else _words(script)
    natural = len(words) or _geometric(int.from_bytes(key[:8]) / 2**64, mean_tokens)
    stops = natural <= sampling.max_tokens and not sampling.ignore_eos
    return Answer(
        scripted=words,
        filler_start=int.from_bytes(key[8:]) % len(_FILLER),
        tokens=natural if stops else sampling.max_tokens,
        finish_reason="stop" if stops else "length",
    )


def _words(script: str) -> tuple[str, ...]:
    """Words with their white space, which join up to the script; an empty one is a single empty token."""
    return tuple(_WORD.findall(script)) or (script,)


def _geometric(uniform: float, mean: float) -> int:
    """A length of at least 1, by inversion; `uniform` in [0, 1)."""
    if mean <= 1:
        return 1
    return 1 + int(math.log(1 - uniform) / math.log(1 - 1 / mean))
