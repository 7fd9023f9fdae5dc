"""Rules: word lists and regular expressions with categories. Finds spans; p(unsafe) is 1 or 0."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from guards.guard import Score
from guards.scorers.builtin_rules import BUILTIN
from guards.scorers.scan import Rule, RulesStream
from guards.scorers.streamable import linear, streamable
from guards.scorers.word_list import word_list
from guards.subject import Subject


def words_rule(category: str, words: Sequence[str]) -> Rule:
    """A rule that finds any of `words`, whole (nothing of a word next to it) and in any case; the longest first."""
    return Rule(category, streamable(word_list(words), re.IGNORECASE))


def pattern_rule(category: str, pattern: str) -> Rule:
    """A rule of the user's own: RE2 syntax, of bounded length.

    Raises:
        PatternError: not such a pattern; one line that says the cure.
    """
    return Rule(category, linear(pattern))


@dataclass(frozen=True)
class RulesScorer:
    """Runs every rule over the text, on the event loop: linear in the text, microseconds for a chunk."""

    rules: tuple[Rule, ...] = BUILTIN
    now_ns: Callable[[], int] = field(default=time.monotonic_ns)

    @property
    def max_match_chars(self) -> int:
        """Longest possible match, and one character after it to see where it ends."""
        return 1 + max((rule.form.max_chars for rule in self.rules), default=0)

    def stream(self) -> RulesStream:
        """Begin a text that comes in pieces."""
        return RulesStream(self.rules)

    async def score(self, subject: Subject) -> Score:
        """p_unsafe is 1.0 where a rule matched, else 0.0. Spans are in the order of the text."""
        start_ns = self.now_ns()
        spans = self.stream().feed(subject.text, final=True)
        categories = tuple(sorted({span.category for span in spans}))
        return Score(float(bool(spans)), start_ns, start_ns, self.now_ns(), categories=categories, spans=spans)
