"""A parsed regular expression, written out again: as it is, or in its prefix form (see `streamable`)."""

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# The parser that `re` itself uses; it has no public name.
_codes = importlib.import_module("re._constants")

_CLASSES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip
_REFUSED = {
    "GROUPREF": "a backreference", "GROUPREF_EXISTS": "a conditional group", "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive quantifier", "FAILURE": "a group that never matches",
}  # fmt: skip
_MAX_LOOK = 16
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


class PatternError(ValueError):
    """A pattern that a stream cannot be searched for. One line that says why, and the cure."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes a parsed pattern for an engine whose end of text is `end`.

    `prefix`: every step may be the end of the text instead, but for the first character, since a match of
    nothing says nothing. `lookaround`: whether the engine has it.
    """

    end: str
    prefix: bool
    lookaround: bool

    def pattern(self, tree: Any) -> str:
        """All of it, with the flags that it was parsed with.

        Raises:
            PatternError: a construct that the engine, or a stream, cannot have.
        """
        flags = tree.state.flags
        letters = "".join(letter for letter, flag in _FLAGS.items() if flags & flag)
        return f"(?{letters}:{self._sequence(tree, flags, first=True)})"

    def _sequence(self, steps: Iterable[Any], flags: int, *, first: bool) -> str:
        written = []
        for op, arg in steps:
            written.append(self._step(str(op), arg, flags, first=first))
            first = first and str(op) in ("AT", "ASSERT", "ASSERT_NOT")
        return "".join(written)

    def _step(self, op: str, arg: Any, flags: int, *, first: bool) -> str:
        if op in _REFUSED:
            raise PatternError(f"{_REFUSED[op]} cannot be followed in a stream: write the pattern without it")
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(arg, "?" if op == "MIN_REPEAT" else "", flags, first=first)
        if op == "BRANCH":
            return f"(?:{'|'.join(self._sequence(one, flags, first=first) for one in arg[1])})"
        if op == "SUBPATTERN":
            return self._group(arg, flags, first=first)
        if op in ("ASSERT", "ASSERT_NOT"):
            return self._look(op, arg, flags, first=first)
        written = self._position(str(arg), flags) if op == "AT" else _character(op, arg)
        return written if first else self._or_end(written)

    def _or_end(self, written: str) -> str:
        return f"(?:{written}|{self.end})" if self.prefix else written

    def _repeat(self, arg: Any, lazy: str, flags: int, *, first: bool) -> str:
        low, high, body = arg
        if len(body) != 1 or str(body[0][0]) not in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return f"(?:{self._sequence(body, flags, first=False)}){{{low},{high}}}{lazy}"
        # A loop over a single character stays one, since such loops are fast.
        one = _character(str(body[0][0]), body[0][1])
        written = f"{one}{{{low},{high}}}{lazy}"
        least = int(first)
        if not self.prefix or low <= least:
            return written
        fewer = f"{one}{{{least},{low - 1}}}" if low > 1 else ""
        return f"(?:{written}|{fewer}{self.end})"

    def _group(self, arg: Any, flags: int, *, first: bool) -> str:
        _, added, removed, body = arg
        inner = self._sequence(body, (flags | added) & ~removed, first=first)
        on, off = ("".join(c for c, flag in _FLAGS.items() if which & flag) for which in (added, removed))
        return f"(?{on}{'-' + off if off else ''}:{inner})"

    def _look(self, op: str, arg: Any, flags: int, *, first: bool) -> str:
        if not self.lookaround:
            raise PatternError("lookaround has no linear search: write the pattern without `(?=`, `(?!`, `(?<`")
        direction, body = arg
        if any(str(inner) in ("ASSERT", "ASSERT_NOT", "AT") for inner, _ in body) or body.getwidth()[1] > _MAX_LOOK:
            raise PatternError(f"lookaround of lookaround, or of more than {_MAX_LOOK} characters: make it simpler")
        inner = Writer(self.end, False, True)._sequence(body, flags, first=False)
        written = f"(?{'<' if direction < 0 else ''}{'=' if op == 'ASSERT' else '!'}{inner})"
        ahead = body.getwidth()[1] if direction > 0 else 0
        if not self.prefix or (first and not ahead):
            return written
        # What it looks at is not all there yet: wait for more.
        rest = rf"[\s\S]{{0,{ahead - 1}}}{self.end}" if ahead > 1 else self.end
        return rf"(?:(?![\s\S]{{{ahead}}}){rest}|{written})" if ahead > 1 else rf"(?:{rest}|{written})"

    def _position(self, where: str, flags: int) -> str:
        if where in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
            return r"\b" if where == "AT_BOUNDARY" else r"\B"
        if where == "AT_BEGINNING" and flags & re.MULTILINE:
            return "^"
        if where == "AT_END" and flags & re.MULTILINE:
            return "$"
        return r"\A" if where in ("AT_BEGINNING", "AT_BEGINNING_STRING") else self.end


def behind_of(steps: Iterable[Any]) -> int:
    r"""How many characters before it a parsed pattern may look at: one for `\b` and `^`, more for lookbehind."""
    furthest = 1
    for op, arg in steps:
        name = str(op)
        if name in ("ASSERT", "ASSERT_NOT"):
            furthest = max(furthest, arg[1].getwidth()[1] if arg[0] < 0 else 0, behind_of(arg[1]))
        elif name == "BRANCH":
            furthest = max(furthest, *(behind_of(one) for one in arg[1]))
        elif name in ("SUBPATTERN", "MAX_REPEAT", "MIN_REPEAT"):
            furthest = max(furthest, behind_of(arg[-1]))
    return furthest


def _character(op: str, arg: Any) -> str:
    if op == "ANY":
        return "."
    if op == "LITERAL":
        return _escaped(arg)
    if op == "NOT_LITERAL":
        return f"[^{_escaped(arg)}]"
    if op != "IN":
        raise PatternError(f"{op} cannot be followed in a stream: write the pattern without it")
    return f"[{''.join(_member(str(kind), value) for kind, value in arg)}]"


def _member(kind: str, value: Any) -> str:
    if kind == "NEGATE":
        return "^"
    if kind == "RANGE":
        return f"{_escaped(value[0])}-{_escaped(value[1])}"
    return _CLASSES[str(value)] if kind == "CATEGORY" else _escaped(value)


def _escaped(code: int) -> str:
    """A character, inside brackets and outside."""
    char = chr(code)
    if code < 32 or code == 127:
        return f"\\x{code:02x}"
    return "\\" + char if code < 128 and not char.isalnum() and char not in "_ " else char
