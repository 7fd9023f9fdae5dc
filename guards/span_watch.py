"""An output filter whose scorer finds spans in a stream: each character is read once, at once."""

from dataclasses import replace

from guards.check import Check, failed, judged, record_stages
from guards.generation import GenerationRequest
from guards.guard import Score
from guards.spans import SpanScorer
from guards.standing import Cut, FilterSettings, Standing, chunk_limit
from guards.verdict import Action, Status, TextSpan, Verdict


class SpanWatch:
    """See `guards.standing.Watch`. Its verdicts' spans are offsets in the answer."""

    def __init__(self, settings: FilterSettings, scorer: SpanScorer, request: GenerationRequest) -> None:
        """Nothing read yet."""
        self.filter, self.standing = settings, Standing()
        self._scorer, self._trace = scorer, request.trace
        self._stream, self._base = scorer.stream(), 0
        self._limit = chunk_limit(settings)
        self._new: list[str] = []
        self._tokens, self._read, self._hurried = 0, 0, False

    def add(self, text: str, tokens: int, *, final: bool) -> bool:
        """More text; judged at once where it is due."""
        self._new.append(text)
        self._tokens += tokens
        due = final or self._hurried or self._tokens >= self._limit
        if due and self.standing.cut is None:
            self._judge(final=final)
        return due

    def hurry(self) -> None:
        """Judge what there is."""
        if not self._hurried:
            self._hurried = True
            if self._new:
                self._judge(final=False)

    def collect(self) -> None:
        """Nothing is ever under way."""

    async def close(self) -> None:
        """Nothing is ever under way."""

    def _judge(self, *, final: bool) -> None:
        text = "".join(self._new)
        self._new.clear()
        self._tokens = 0
        self._read += len(text)
        found, name, standing = self._check(text, final=final), self.filter.name, self.standing
        verdict = self._narrowed(found.verdict)
        record_stages(self._trace, name, found.score, critical=final or self.filter.release == "after")
        self._trace.judged(name, verdict)
        standing.done = final
        if verdict.action is Action.BLOCK:
            at = verdict.spans[0].start if verdict.spans else standing.passed
            standing.cut = Cut(at, at if verdict.status is Status.OK else None)
            standing.passed = at
            return
        if verdict.action is Action.REDACT:
            standing.redact += verdict.spans
        standing.passed = standing.floor = self._base + self._stream.settled

    def _narrowed(self, verdict: Verdict) -> Verdict:
        """A block names where it stops, and no more: what else a chunk held depends on where the chunk ends."""
        gone = verdict.action is Action.REDACT and self.filter.release == "first"  # too late to replace it
        if not gone and verdict.action is not Action.BLOCK:
            return verdict
        first = tuple(span for span in verdict.spans if span.start == verdict.spans[0].start)
        return replace(verdict, action=Action.BLOCK, spans=first, categories=_categories(first))

    def _check(self, text: str, *, final: bool) -> Check:
        policy, start_ns = self.filter.policy, self._trace.now_ns()
        try:
            found = self._stream.feed(text, final=final)
        except Exception as error:  # noqa: BLE001 - whatever a scorer raises is counted, never lost or fatal
            # Nobody knows what it has read: begin anew after it.
            self._stream, self._base = self._scorer.stream(), self._read
            return Check(failed(policy, Status.ERROR, f"{type(error).__name__}: {error}"), None)
        spans = found
        if self._base:
            spans = tuple(TextSpan(s.start + self._base, s.end + self._base, s.category) for s in found)
        end_ns = self._trace.now_ns()
        score = Score(float(bool(spans)), start_ns, start_ns, end_ns, categories=_categories(spans), spans=spans)
        return judged(score, policy)


def _categories(spans: tuple[TextSpan, ...]) -> tuple[str, ...]:
    return tuple(sorted({span.category for span in spans}))
