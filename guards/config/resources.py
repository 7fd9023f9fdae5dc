"""What guards need that must be started, and stopped in the end: worker processes and models."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from guards.config.endpoint import EndpointConfig, open_endpoint
from guards.config.guards import GuardConfig, scorers_of
from guards.config.scorers import EmbeddingConfig, ScorerConfig, parts
from guards.config.transformer import TransformerConfig, open_transformer
from guards.config.vllm import VllmHeadConfig, VllmJudgeConfig, open_models
from guards.guard import Scorer
from guards.loading import GuardConfigError
from guards.scorers.embedding import EmbeddingScorer
from guards.scorers.guard_model import ModelHost
from guards.scorers.model_worker import ModelNotLoaded
from guards.scorers.worker import EmbeddingWorker


@dataclass(frozen=True)
class Resources:
    """Scorers that had to be started, by their statement: guards that state the same share one."""

    started: Mapping[str, Scorer] = field(default_factory=dict)

    def scorer(self, config: ScorerConfig) -> Scorer:
        """The started scorer of this statement.

        Raises:
            ValueError: it was not started: a guard was built without `open_resources`.
        """
        if (key := statement(config)) not in self.started:
            raise ValueError(f"scorer {key} was not started: build guards inside open_resources")
        return self.started[key]


def statement(config: ScorerConfig) -> str:
    """A scorer's statement as a key: equal for those that state the same."""
    return config.model_dump_json()


@asynccontextmanager
async def open_resources(
    configs: Iterable[GuardConfig], also: Iterable[ScorerConfig] = (), host: ModelHost | None = None
) -> AsyncIterator[Resources]:
    """Start what the guards of a scenario and the scorers of `also` need, each once; stop all of it in the end.

    `host` opens and keeps the models of scorers that need an engine; it is closed by who made it.

    Raises:
        GuardConfigError: a model that cannot be had as it is stated, or a key that is not set.
        WorkerDied: a worker process did not start.
    """
    asked = (*(scorer for config in configs for scorer in scorers_of(config)), *also)
    found = (part for scorer in asked for part in parts(scorer))
    wanted = {statement(part): part for part in found}
    async with AsyncExitStack() as stack:
        embedded = {key: config for key, config in wanted.items() if isinstance(config, EmbeddingConfig)}
        started: dict[str, Scorer] = {}
        for threads in sorted({config.threads for config in embedded.values()}):
            worker = await _embedding_worker(threads)
            stack.push_async_callback(worker.close)
            for key, config in embedded.items():
                if config.threads == threads:
                    started[key] = EmbeddingScorer(worker, config.head, "refusal" if config.refusal else None)
        for key, part in wanted.items():
            if isinstance(part, TransformerConfig):
                started[key] = await stack.enter_async_context(open_transformer(part))
            elif isinstance(part, EndpointConfig):
                started[key] = await stack.enter_async_context(open_endpoint(part))
        models = {key: config for key, config in wanted.items() if isinstance(config, VllmJudgeConfig | VllmHeadConfig)}
        started |= await open_models(models, host)
        yield Resources(started)


async def _embedding_worker(threads: int) -> EmbeddingWorker:
    try:
        return await EmbeddingWorker.start(threads)
    except ModelNotLoaded as error:
        raise GuardConfigError(f"scorer {{kind: embedding}}: {error}") from error
