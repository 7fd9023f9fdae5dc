"""The engine's text on its way to the user: what has gone out, with which tokens, and what is still held."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from guards.generation import Delta
from guards.verdict import TextSpan

REDACTED = "[REDACTED]"


@dataclass(frozen=True, slots=True)
class Released:
    """A piece that may go out: its tokens, and when its oldest and its last part left the engine."""

    text: str
    tokens: int
    oldest_ns: int
    last: Delta


class Outlet:
    """Gives out text in order, spans replaced by a mark; spans that overlap or touch share one."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self.end = 0  # of the engine's text
        self.out = 0  # what is before has gone out, or was replaced
        self._marks: deque[tuple[int, int]] = deque()  # what was replaced, each by one mark
        self._held: deque[tuple[int, Delta]] = deque()  # with the offset at which each ends
        self._spans: list[TextSpan] = []
        self._gone: deque[tuple[int, int]] = (
            deque()
        )  # what has gone out: where what is shown of it ends, and its tokens

    def add(self, delta: Delta) -> None:
        """The engine has written more."""
        self.end += len(delta.text)
        self._held.append((self.end, delta))

    def redact(self, spans: Iterable[TextSpan]) -> None:
        """These are to be replaced."""
        self._spans += spans

    def release(self, limit: int) -> Released | None:
        """What is before `limit`; None where nothing is held that could go."""
        if not self._held:
            return None
        oldest, start, raw = self._held[0][1], self.out, self._text(limit)
        text = self._replaced(raw, start, limit) if self._spans else raw
        self.out = max(self.out, limit)
        tokens, last = 0, oldest
        while self._held and self._held[0][0] <= self.out:
            end, last = self._held.popleft()
            tokens += last.tokens
            self._gone.append((self._shown(end) if self._marks else end, last.tokens))
        return Released(text, tokens, oldest.emitted_ns, last)

    def exposed(self, start: int) -> int:
        """Tokens that have gone out with text at or after `start`, as they were."""
        return sum(tokens for end, tokens in self._gone if end > start)

    def forget(self, floor: int) -> None:
        """Nobody will ask for tokens before `floor`."""
        while self._gone and self._gone[0][0] <= floor:
            self._gone.popleft()
        while len(self._marks) > 1 and self._marks[0][1] <= min(floor, self.out):
            self._marks.popleft()

    def _shown(self, end: int) -> int:
        """Where what was shown of the text before `end` ends."""
        return min((start for start, stop in self._marks if start < end <= stop), default=end)

    def _text(self, limit: int) -> str:
        """The engine's text from `out` to `limit`."""
        pieces = []
        for end, delta in self._held:
            start = end - len(delta.text)
            if start >= limit:
                break
            whole = start >= self.out and end <= limit
            pieces.append(delta.text if whole else delta.text[max(self.out - start, 0) : limit - start])
        return "".join(pieces)

    def _replaced(self, raw: str, start: int, limit: int) -> str:
        pieces, later = [], []
        for span in sorted(self._spans, key=lambda span: (span.start, span.end)):
            if span.start >= limit:
                later.append(span)
            elif span.end > self.out:
                begin = max(span.start, self.out)
                if self._marks and begin <= self._marks[-1][1]:
                    begin = self._marks.pop()[0]
                else:
                    pieces += [raw[self.out - start : begin - start], REDACTED]
                self._marks.append((begin, span.end))
                self.out = span.end
        self._spans = later
        return "".join([*pieces, raw[self.out - start :]])
