"""A limit as people write it: `ttft_p99 +10%`, `ttft_p50 +20ms`, `e2el_p99 2s`, `block_recall 90%`."""

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from profiler.analysis.words import WORDS, Word

Side = Literal["max", "min"]
Scale = Literal["own", "absolute", "relative"]
_LIMIT = re.compile(r"\s*(\w+)\s+([+-]?)\s*([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})\s*([A-Za-z/%]*)\s*")


@dataclass(frozen=True)
class Limit:
    """`bound` of a figure. `scale`: of the arm's `own` figure, or of its difference to what it is compared with.

    `bound` is in the unit of the analysis (ms, MiB, s, J, a share between 0 and 1), or a ratio (0.1 for +10 %) where
    the scale is relative.
    """

    side: Side
    word: Word
    scale: Scale
    bound: float
    text: str

    @property
    def flag(self) -> str:
        """As it was given."""
        return f"--{self.side} '{self.text}'"


def parse_limit(side: Side, text: str) -> Limit:
    """A limit from the command line. With a sign it bounds a difference, without one the arm's own figure.

    `%` with a sign is relative for what costs, and points for what is a share itself (`over_refusal_benign +2%`).

    Raises:
        ValueError: no limit, an unknown word, or a unit that the figure does not have.
    """
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no limit: write METRIC BOUND, such as 'ttft_p99 +10%' or 'block_recall 90%'")
    name, sign, digits, unit = found.groups()
    word = WORDS.get(name)
    if word is None:
        raise ValueError(_unknown(name))
    number = float(digits) * (-1.0 if sign == "-" else 1.0)
    said = " ".join(text.split())
    if word.kind == "cost" and unit == "%":
        if not sign:
            raise ValueError(f"'{said}': a share of what? write '{name} +{digits}%' for a difference to the baseline")
        return Limit(side, word, "relative", number / 100, said)
    if unit not in word.units:
        known = ", ".join(known for known in word.units if known)
        more = ", or +% of the baseline" if word.kind == "cost" else ""
        raise ValueError(f"'{said}': {name} is given in {known}{more}, not in {unit or 'a number alone'}")
    bound = number * word.units[unit]
    if not math.isfinite(bound):
        raise ValueError(f"'{said}': {digits} is no number that a figure reaches")
    return Limit(side, word, "absolute" if sign else "own", bound, said)


def _unknown(name: str) -> str:
    near = get_close_matches(name, WORDS, n=1)
    cure = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(WORDS)}"
    return f"no metric `{name}`: {cure}"
