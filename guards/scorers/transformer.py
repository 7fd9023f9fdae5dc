"""Transformer scorer: any Hugging Face sequence classifier, in a worker process."""

from dataclasses import dataclass

from guards.guard import Score
from guards.scorers.model_worker import ModelWorker
from guards.subject import Subject
from guards.told import writable


@dataclass(frozen=True)
class TransformerScorer:
    """p(unsafe) and categories from a worker that has loaded `guards.scorers.transformer_model`."""

    worker: ModelWorker

    @property
    def max_match_chars(self) -> int:
        """It judges whole texts and finds no spans."""
        return 0

    async def score(self, subject: Subject) -> Score:
        """Score the subject's text, however long it is.

        Raises:
            ModelFailed: the model raised on it, or ran out of memory.
            WorkerFull: too many texts wait already.
            WorkerDied: the worker process is gone.
        """
        work = await self.worker.judge(writable(subject.text))
        p_unsafe, categories = work.found
        return Score(p_unsafe, work.queued_ns, work.started_ns, work.ended_ns, categories=tuple(categories))
