"""The embedding model in a worker process: what the `embedding` scorers of a scenario share."""

from typing import Self

from guards.scorers.batching import Batching, Work
from guards.scorers.model_process import ModelSpec
from guards.scorers.model_worker import ModelWorker, WorkerDied
from guards.told import writable

__all__ = ["EmbeddingWorker", "WorkerDied"]


class EmbeddingWorker:
    """MiniLM and its heads in a process of their own. Make one with `await EmbeddingWorker.start()`."""

    def __init__(self, model: ModelWorker) -> None:
        """Wrap a worker that has loaded `guards.scorers.embedding_model`."""
        self._model = model

    @classmethod
    async def start(cls, threads: int = 1) -> Self:
        """Start the process and wait until its model is loaded.

        Each of the `threads` computes batches of its own; a batch is never split between threads, since one that
        waits for a core that another process holds would stall all of them.

        Raises:
            ModelNotLoaded: a file of the model is not the pinned one.
            WorkerDied: the process ended while it loaded.
        """
        spec = ModelSpec("guards.scorers.embedding_model:load", {})
        return cls(await ModelWorker.start(spec, Batching(lanes=threads)))

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._model.pid

    async def score(self, text: str, heads: tuple[str, ...]) -> Work:
        """Probabilities of one text by head name, batched with whatever else waits.

        Raises:
            ModelFailed: the model raised on it.
            WorkerFull: too many wait already.
            WorkerDied: the process is gone.
        """
        return await self._model.judge((writable(text), heads))

    async def close(self) -> None:
        """Stop the process."""
        await self._model.close()
