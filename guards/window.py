"""The bounded window of an output filter: what was released, what is new, what may go out."""

from collections import deque
from collections.abc import Sequence

from guards.generation import Delta
from guards.verdict import TextSpan


class Window:
    """The last `context_tokens` released tokens and everything not released yet.

    `keep_chars` characters at the end stay back until the stream is final: a match of at most that
    length that begins before them is complete, so it has been seen.
    """

    def __init__(self, context_tokens: int, keep_chars: int) -> None:
        """An empty window."""
        self._context: deque[tuple[str, int]] = deque()
        self._context_tokens = 0
        self._limit = context_tokens
        self._keep = keep_chars
        self._held: list[Delta] = []
        self.new_tokens = 0
        self.oldest_ns = 0

    @property
    def text(self) -> str:
        """What is to be judged."""
        return self._before() + self._pending()

    def add(self, delta: Delta) -> None:
        """A delta came from the engine."""
        if not self._held:
            self.oldest_ns = delta.emitted_ns
        self._held.append(delta)
        self.new_tokens += delta.tokens

    def release(self, spans: Sequence[TextSpan], mark: str, *, final: bool) -> Delta | None:
        """Take out what may go, each span in it replaced by `mark`; None when nothing may go yet.

        `spans` are offsets in `text` as it was judged.
        """
        before, pending = len(self._before()), self._pending()
        self.new_tokens = 0
        end = len(pending) if final else len(pending) - self._keep
        inside = sorted((s.start - before, s.end - before) for s in spans if s.end > before)
        # A span that straddles the border goes out whole, or waits whole if it may still grow.
        for start, stop in inside:
            if start < end < stop:
                end = stop if stop < len(pending) or final else start
        if end <= 0 and not final:
            return None
        kept, last = pending[end:], self._held[-1]
        tokens = self._tokens_out(kept)
        out = masked(pending[:end], [pair for pair in inside if pair[1] <= end], mark)
        self._remember(out, tokens)
        self._held = [Delta(kept, last.tokens, last.emitted_ns)] if kept else []
        times = last.times if final else None
        return Delta(out, tokens, last.emitted_ns, last.index, last.finish_reason if final else None, times)

    def _before(self) -> str:
        return "".join(text for text, _ in self._context)

    def _pending(self) -> str:
        return "".join(d.text for d in self._held)

    def _tokens_out(self, kept: str) -> int:
        total = sum(d.tokens for d in self._held)
        if not kept:
            return total
        # The kept tail counts as (part of) the last delta's tokens; they go out with the next release.
        return total - self._held[-1].tokens

    def _remember(self, text: str, tokens: int) -> None:
        self._context.append((text, tokens))
        self._context_tokens += tokens
        while self._context and self._context_tokens - self._context[0][1] >= self._limit:
            self._context_tokens -= self._context.popleft()[1]


def masked(text: str, pairs: Sequence[tuple[int, int]], mark: str) -> str:
    """`text` with each range [start, end) replaced by `mark`; `pairs` in order, those inside earlier ones are left."""
    pieces, at = [], 0
    for start, stop in pairs:
        if stop <= at:
            continue
        pieces += [text[at : max(start, at)], mark]
        at = stop
    return "".join([*pieces, text[at:]])
