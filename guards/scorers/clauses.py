"""An answer cut into clauses: the pieces of which one declines, another explains, a third delivers.

"I can't give you the code, but here is how the flaw works: ..." declines in its first clause and delivers in
the rest. What stands in quotation marks or in a code block is said by nobody in the answer, so it counts as
length but its words are not read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_CHARS = 1500
"""Longest text of a clause that is read; `chars` still counts all of it."""

_QUOTED = re.compile(r"\"[^\"\n]{2,600}\"|\u201c[^\u201d\n]{2,600}\u201d|\u00ab[^\u00bb\n]{2,600}\u00bb")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_MASK = "\x1a"
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|e\.g|i\.e|etc)\.$")
_BORDER = re.compile(
    r"\n+\s*"
    r"|(?<=[.!?\u2026])[\"'\u201d\u2019)\]*]{0,3}\s+"
    r"|;\s+|\s[\u2014\u2013]\s*|\s-{1,2}\s"
    r"|,\s+"
    r"|\s(?=but (?:i|we|here|this|the)\b)",
    re.IGNORECASE,
)
# A comma is a border before one of these words, and after a clause that begins with one of those.
_NEXT_CLAUSE = re.compile(
    r"(?:but|however|so|since|because|though|although|whereas|while|yet|instead)\b(?!,)"
    r"|(?:and )?(?:i|we|here|let me)(?:'\w+|\u2019\w+)? ",
    re.IGNORECASE,
)
_SUBORDINATE = re.compile(r"\W*(?:while|although|though|without|since|because|even if|as long as)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clause:
    """`text` with its quotes emptied; `chars` is its length in the answer, `start` where it begins."""

    text: str
    start: int
    chars: int


def clauses(text: str) -> list[Clause]:
    """The clauses of `text` in order; at least one."""
    bare = _without_outer_quotes(text)
    masked = _QUOTED.sub(_mask, _CODE.sub(_mask, bare))
    found = [Clause(_shown(masked[a : min(b, a + MAX_CHARS)]), a, b - a) for a, b in _spans(masked)]
    return found or [Clause("", 0, 0)]


def _without_outer_quotes(text: str) -> str:
    """An answer wholly in quotation marks is said by its author."""
    bare = text.strip()
    whole = len(bare) > 1 and (bare[0], bare[-1]) in {('"', '"'), ("\u201c", "\u201d")}
    return bare[1:-1] if whole and not re.search('["\u201c\u201d]', bare[1:-1]) else text


def _mask(match: re.Match[str]) -> str:
    """The same length, with the marks and the quote's own full stop left standing."""
    last = 2 if match[0][-2] in ".!?" else 1
    return match[0][0] + _MASK * (len(match[0]) - 1 - last) + match[0][-last:]


def _shown(masked: str) -> str:
    return re.sub(f"{_MASK}+", "\u2026", masked).strip()


def _spans(masked: str) -> Iterator[tuple[int, int]]:
    """Half-open ranges of the clauses."""
    start = 0
    for border in _BORDER.finditer(masked):
        end = border.start()
        # Only so much is looked at before a border that a text of commas alone takes no quadratic time.
        head, tail = masked[start : min(end, start + 40)], masked[max(start, end - 8) : end]
        if _goes_on(head, tail, border[0], masked[border.end() : border.end() + 16]):
            continue
        if masked[start:end].strip():
            yield start, end
        start = border.end()
    if masked[start:].strip():
        yield start, len(masked)


def _goes_on(head: str, tail: str, border: str, following: str) -> bool:
    """Whether a clause goes on over the border: what ends there is an abbreviation, or not yet a clause."""
    if "\n" in border:
        return False
    too_short = len(head.split()) < 2
    if border[0] == ",":
        return too_short or not (_NEXT_CLAUSE.match(following) or _SUBORDINATE.match(head))
    return _ABBREVIATION.search(tail) is not None or (too_short and (border[0] in ";-" or head.strip()[:-1].isdigit()))
