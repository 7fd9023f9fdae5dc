"""Rules: word lists and regular expressions with categories. Finds spans; p(unsafe) is 1 or 0."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from guards.guard import Score
from guards.subject import Subject
from guards.verdict import TextSpan


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern. `max_chars` bounds how long a match can be, so that a stream knows how far to wait."""

    category: str
    pattern: re.Pattern[str]
    max_chars: int


# Bounded quantifiers only: matching is linear in the text.
PII_RULES = (
    Rule("email", re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,3}\b"), 320),
    Rule("phone", re.compile(r"(?<!\w)\+?\d{1,3}[ -]\(?\d{2,4}\)?(?:[ -]\d{2,4}){1,3}\b"), 32),
    Rule("api-key", re.compile(r"\b(?:sk|pk|ghp|xoxb)[-_][A-Za-z0-9_-]{16,128}\b"), 136),
)


def words_rule(category: str, words: Sequence[str]) -> Rule:
    """A rule that finds any of `words`, whole and in any case."""
    alternatives = "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))
    pattern = re.compile(rf"\b(?:{alternatives})\b", re.IGNORECASE)
    return Rule(category, pattern, max(len(w) for w in words))


@dataclass(frozen=True)
class RulesScorer:
    """Runs every rule over the text, on the event loop: microseconds for a bounded window."""

    rules: tuple[Rule, ...] = PII_RULES
    now_ns: Callable[[], int] = field(default=time.monotonic_ns)

    @property
    def max_match_chars(self) -> int:
        """Longest possible match, and one character after it to see where it ends."""
        return 1 + max((rule.max_chars for rule in self.rules), default=0)

    async def score(self, subject: Subject) -> Score:
        """p_unsafe is 1.0 where a rule matched, else 0.0."""
        text, start_ns = subject.text, self.now_ns()
        spans = tuple(
            TextSpan(m.start(), m.end(), rule.category) for rule in self.rules for m in rule.pattern.finditer(text)
        )
        categories = tuple(sorted({span.category for span in spans}))
        return Score(float(bool(spans)), start_ns, start_ns, self.now_ns(), categories=categories, spans=spans)
