"""Endpoint scorer: a moderation API, such as OpenAI's."""

from dataclasses import dataclass

from guards.guard import Score
from guards.scorers.endpoint.answers import Moderation, moderation
from guards.scorers.endpoint.connection import Connection, EndpointError
from guards.subject import Subject


@dataclass(frozen=True)
class ModerationScorer:
    """p(unsafe) is the largest category score, of all categories or of those in `unsafe`.

    Categories of the score are those that the API flags; whether it flags the text at all is in the detail, since
    the guard's threshold decides.
    """

    connection: Connection
    model: str
    unsafe: tuple[str, ...] | None = None

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Judge the subject's text.

        Raises:
            EndpointError: no answer, or one that lacks the scores.
            TimeoutError: no answer in time.
        """
        queued_ns = self.connection.now_ns()
        answer = await self.connection.post("/moderations", {"model": self.model, "input": subject.text})
        found = moderation(answer.body)
        scores = self._scores(found)
        flagged = tuple(name for name in scores if found.categories.get(name))
        detail = "flagged by the endpoint" if found.flagged else ""
        return Score(
            max(scores.values()), queued_ns, answer.started_ns, answer.ended_ns, categories=flagged, detail=detail
        )

    def _scores(self, found: Moderation) -> dict[str, float]:
        known = {name: score for name, score in found.category_scores.items() if score is not None}
        if missing := [name for name in self.unsafe or () if name not in known]:
            raise EndpointError(f"the endpoint scores no category {missing[0]!r}")
        scores = known if self.unsafe is None else {name: known[name] for name in self.unsafe}
        if not scores:
            raise EndpointError("the answer has no category scores")
        return scores
