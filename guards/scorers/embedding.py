"""Embedding scorer: MiniLM sentence embedding and linear heads, in a worker process."""

from dataclasses import dataclass

from guards.guard import Score
from guards.scorers.worker import EmbeddingWorker
from guards.subject import Subject


@dataclass(frozen=True)
class EmbeddingScorer:
    """p(unsafe) from the head `unsafe`, and p(refusal) from the head `refusal` where one is named."""

    worker: EmbeddingWorker
    unsafe: str = "prompt"
    refusal: str | None = None

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Score the subject's text.

        Raises:
            WorkerDied: the worker process is gone.
        """
        heads = (self.unsafe,) if self.refusal is None else (self.unsafe, self.refusal)
        work = await self.worker.score(subject.text, heads)
        p_refusal = None if self.refusal is None else work.found[self.refusal]
        return Score(work.found[self.unsafe], work.queued_ns, work.started_ns, work.ended_ns, p_refusal)
