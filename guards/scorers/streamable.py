"""Regular expressions that can follow a stream: what they match of a text that has not ended yet.

A pattern is read by Python's own parser and written out twice: as it is, and in its *prefix form*, which also
matches where the text ends in the middle of a match. Where the prefix form ends before the text does, no way to
match that it had to try before has reached the end, so more text changes nothing; where it ends with the text, more
text could (what Java's `Matcher.hitEnd` tells, here by rewriting).
"""

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from guards.scorers.pattern_writer import PatternError, Writer, behind_of

_parser = importlib.import_module("re._parser")
_codes = importlib.import_module("re._constants")

MAX_CHARS = 8192
"""The longest match that a pattern may have: a filter may have to hold back as much."""


class Searcher(Protocol):
    """What the patterns of `re` and of RE2 have in common."""

    def search(self, text: str, pos: int) -> Any:
        r"""The first match at or after `pos`; `\b` and lookbehind see what stands before."""
        ...

    def finditer(self, text: str, pos: int) -> Iterator[Any]:
        """All matches from there on."""
        ...


@dataclass(frozen=True, slots=True)
class Streamable:
    """A pattern, its prefix form, its longest match, and how far before a match it looks (characters)."""

    whole: Searcher
    prefix: Searcher
    max_chars: int
    behind: int


def streamable(pattern: str, flags: int = 0) -> Streamable:
    """A pattern of our own for Python's `re`: linear as long as its bounds are small.

    Raises:
        PatternError: no regular expression, or one that a stream cannot be searched for.
    """
    return _made(pattern, flags, lambda written: re.compile(written, flags & re.ASCII), r"\Z", lookaround=True)


def linear(pattern: str) -> Streamable:
    r"""A pattern of the user's for RE2: linear whatever it is. Its `\w`, `\d`, `\s` and `\b` know ASCII only.

    Raises:
        PatternError: as above, or what RE2 does not have.
    """
    if "[[:" in pattern:
        raise PatternError(f"`{pattern}`: classes such as [:alpha:] are not known here: write a-z")
    return _made(pattern, 0, _Re2.compiled, r"\z", lookaround=False)


@dataclass(frozen=True, slots=True)
class _Re2:
    pattern: Any

    @classmethod
    def compiled(cls, written: str) -> "_Re2":
        import re2

        options = re2.Options()
        options.log_errors = False
        try:
            return cls(re2.compile(written, options))
        except re2.error as error:
            said = error.args[0]
            why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            raise PatternError(f"RE2 refuses it ({why[:80]}): make it simpler, its bounds at most 1000") from error

    def search(self, text: str, pos: int) -> Any:
        return self.pattern.search(_encodable(text), pos)

    def finditer(self, text: str, pos: int) -> Iterator[Any]:
        found: Iterator[Any] = self.pattern.finditer(_encodable(text), pos)
        return found


_SURROGATE = re.compile("[\ud800-\udfff]")


def _encodable(text: str) -> str:
    """Lone surrogates, which JSON may bring, have no UTF-8: RE2 gets U+FFFD for each."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _made(pattern: str, flags: int, compiled: Callable[[str], Searcher], end: str, *, lookaround: bool) -> Streamable:
    try:
        tree = _parser.parse(pattern, flags)
    except (re.error, OverflowError) as error:
        raise PatternError(f"`{pattern}` is no regular expression: {error}") from error
    except RecursionError as error:
        raise PatternError(f"`{pattern[:40]}` is nested too deep: make it simpler") from error
    low, high = tree.getwidth()
    if low == 0:
        raise PatternError(f"`{pattern}` matches the empty text: make a part of it obligatory")
    if high >= _codes.MAXREPEAT:
        raise PatternError(f"`{pattern}` has no longest match: bound every `*`, `+` and `{{n,}}`, as in `{{1,64}}`")
    if high > MAX_CHARS:
        raise PatternError(f"`{pattern}` matches up to {high} characters, more than {MAX_CHARS}: tighten its bounds")
    try:
        whole, prefix = (compiled(Writer(end, cut, lookaround).pattern(tree)) for cut in (False, True))
    except PatternError as error:
        raise PatternError(f"`{pattern}`: {error}") from error
    return Streamable(whole, prefix, high, behind_of(tree))
