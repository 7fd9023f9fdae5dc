"""The bounded window of an output filter: the end of what was passed, and what is new."""

from collections import deque


class Window:
    """The last `context_tokens` passed tokens and everything after them."""

    def __init__(self, context_tokens: int) -> None:
        """An empty window."""
        self.start = 0  # where in the answer it begins
        self.end = 0
        self._limit = context_tokens
        self._pieces: deque[tuple[str, int]] = deque()
        self._passed: deque[int] = deque()  # tokens of the pieces at the front that were passed
        self._passed_tokens = 0
        self._passed_end = 0

    @property
    def text(self) -> str:
        """What is to be judged."""
        return "".join(text for text, _ in self._pieces)

    def add(self, text: str, tokens: int) -> None:
        """The engine has written more."""
        self._pieces.append((text, tokens))
        self.end += len(text)

    def passed(self, offset: int) -> None:
        """Text before `offset` is context from now on; what is too long ago is forgotten."""
        while len(self._passed) < len(self._pieces):
            text, tokens = self._pieces[len(self._passed)]
            if self._passed_end + len(text) > offset:
                break
            self._passed.append(tokens)
            self._passed_tokens += tokens
            self._passed_end += len(text)
        while self._passed and self._passed_tokens - self._passed[0] >= self._limit:
            self._passed_tokens -= self._passed.popleft()
            self.start += len(self._pieces.popleft()[0])
