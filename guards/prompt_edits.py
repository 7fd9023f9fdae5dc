"""What a guard changes in a prompt before it goes on to the engine."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from guards.check import Check
from guards.generation import GenerationRequest
from guards.outlet import REDACTED
from guards.subject import Message
from guards.verdict import Action, TextSpan


def passed_on(request: GenerationRequest, found: Check) -> GenerationRequest | None:
    """The request as the verdict lets it go on: itself, changed (the trace stays), or None where it is blocked."""
    verdict, score = found.verdict, found.score
    if verdict.action is Action.BLOCK:
        return None
    messages = request.messages
    if verdict.action is Action.REWRITE and score is not None and score.rewritten is not None:
        messages = rewritten(messages, score.rewritten)
    elif verdict.action is Action.REDACT:
        messages = redacted(messages, verdict.spans)
    return request if messages == request.messages else replace(request, messages=messages)


def rewritten(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """The conversation with `text` in place of its last user turn."""
    last = max((i for i, turn in enumerate(messages) if turn.role == "user"), default=None)
    return tuple(replace(turn, content=text) if i == last else turn for i, turn in enumerate(messages))


def redacted(messages: Sequence[Message], spans: Sequence[TextSpan]) -> tuple[Message, ...]:
    """The conversation with every span masked. Spans are offsets in the user turns, joined by newlines."""
    return tuple(_redacted(messages, sorted((span.start, span.end) for span in spans)))


def _redacted(messages: Sequence[Message], spans: Sequence[tuple[int, int]]) -> Iterator[Message]:
    start = 0
    for turn in messages:
        if turn.role != "user":
            yield turn
            continue
        end = start + len(turn.content)
        # A span over the border of two turns is masked in both.
        inside = [(max(s, start) - start, min(e, end) - start) for s, e in spans if s < end and e > start]
        yield replace(turn, content=masked(turn.content, inside, REDACTED))
        start = end + 1


def masked(text: str, pairs: Sequence[tuple[int, int]], mark: str) -> str:
    """`text` with each range [start, end) replaced by `mark`; `pairs` in order, those inside earlier ones are left."""
    pieces, at = [], 0
    for start, stop in pairs:
        if stop <= at:
            continue
        pieces += [text[at : max(start, at)], mark]
        at = stop
    return "".join([*pieces, text[at:]])
