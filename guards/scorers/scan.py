r"""A stream searched for rules: exactly the matches that `finditer` finds in the whole text.

Each rule has its place, before which nothing more can begin: after its last match, or where a match may have begun
that the text so far does not decide. Earlier characters stay in reach of `\b` and lookbehind. What is kept is never
more than the longest match and what is looked at beside it, so the cost per character is bounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guards.scorers.streamable import Streamable
from guards.verdict import TextSpan


def _any(found: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and what a match of it is called. One that `accept` refuses is no span, nor is what is in it."""

    category: str
    form: Streamable
    accept: Callable[[str], bool] = _any


class RulesStream:
    """One text as it comes: see `guards.spans.SpanStream`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Nothing read yet."""
        self.settled = 0
        self._rules = rules
        self._places = [0] * len(rules)
        self._behind = max((rule.form.behind for rule in rules), default=1)
        self._text, self._base = "", 0  # what is still looked at, and where in the whole text it begins
        self._waiting: list[TextSpan] = []  # found beyond `settled`

    def feed(self, text: str, *, final: bool) -> tuple[TextSpan, ...]:
        """Read on; the spans that begin before the new `settled` and were not given out yet."""
        self._text += text
        search = self._finish if final else self._advance
        self._places = [search(rule, place) for rule, place in zip(self._rules, self._places, strict=True)]
        end = self._base + len(self._text)
        self.settled = end if final else min(self._places, default=end)
        self._forget()
        return self._certain() if self._waiting else ()

    def _advance(self, rule: Rule, place: int) -> int:
        """Find what more text cannot change; the rule's next place."""
        text, at = self._text, place - self._base
        search = rule.form.prefix.search
        while (match := search(text, at)) is not None:
            start, at = match.span()
            if at == len(text):
                return self._base + start
            self._found(rule, start, at)
        return self._base + len(text)

    def _finish(self, rule: Rule, place: int) -> int:
        for match in rule.form.whole.finditer(self._text, place - self._base):
            self._found(rule, *match.span())
        return self._base + len(self._text)

    def _found(self, rule: Rule, start: int, end: int) -> None:
        if rule.accept(self._text[start:end]):
            self._waiting.append(TextSpan(self._base + start, self._base + end, rule.category))

    def _certain(self) -> tuple[TextSpan, ...]:
        self._waiting.sort(key=_order)
        ready = tuple(span for span in self._waiting if span.start < self.settled)
        del self._waiting[: len(ready)]
        return ready

    def _forget(self) -> None:
        drop = self.settled - self._behind - self._base
        if drop > 0:
            self._text, self._base = self._text[drop:], self._base + drop


def _order(span: TextSpan) -> tuple[int, int, str]:
    return span.start, span.end, span.category
