"""Shares as people write them: `2%` or 0.02."""

from typing import Annotated

from pydantic import BeforeValidator

from profiler.errors import UserError


def share_of(text: object) -> object:
    """0.02 for "2%", "2 %", "0.02" or 0.02.

    Raises:
        ValueError: not a number.
    """
    if not isinstance(text, str):
        return text
    plain = text.strip()
    try:
        return float(plain[:-1]) / 100 if plain.endswith("%") else float(plain)
    except ValueError:
        raise ValueError(f"{text!r} is no share: write 2% or 0.02") from None


def share_flag(flag: str, text: str) -> float:
    """A share between 0 and 1 from the command line.

    Raises:
        UserError: not a number, or outside 0 to 1.
    """
    try:
        found = share_of(text)
    except ValueError as error:
        raise UserError(f"{flag}: {error}") from None
    if not isinstance(found, float) or not 0 <= found <= 1:
        raise UserError(f"{flag}: {text} is not between 0 and 100 %: write 2% or 0.02")
    return found


Percent = Annotated[float, BeforeValidator(share_of)]
