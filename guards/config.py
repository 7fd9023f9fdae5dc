"""Guards as a scenario states them, and how a statement becomes a guard."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from guards.check import Policy
from guards.guard import Guard, Scorer
from guards.input_classifier import REFUSAL, InputClassifier
from guards.output_filter import OutputFilter
from guards.refusal_reranker import RefusalReranker
from guards.scorers.embedding import EmbeddingScorer
from guards.scorers.heads import load_head
from guards.scorers.rules import PII_RULES, RulesScorer, words_rule
from guards.scorers.worker import EmbeddingWorker


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddingConfig(_Strict):
    """The embedded classifier: sentence embedding and a linear head."""

    kind: Literal["embedding"]
    head: Literal["prompt", "answer", "refusal"] = "prompt"


class RulesConfig(_Strict):
    """Word lists by category, and the built-in patterns for secrets and personal data."""

    kind: Literal["rules"]
    words: dict[str, list[Annotated[str, Field(min_length=1)]]] = {}
    pii: bool = True


ScorerConfig = Annotated[EmbeddingConfig | RulesConfig, Field(discriminator="kind")]
Probability = Annotated[float, Field(ge=0, le=1)]


class _GuardConfig(_Strict):
    on_error: Literal["open", "closed"] = "open"
    timeout_ms: float | None = Field(default=None, gt=0)
    threshold: Probability | None = None  # None: the scorer's own operating point

    def policy(self, scorer_threshold: float, action: Literal["block", "redact", "flag"] = "block") -> Policy:
        """Threshold and failure policy."""
        threshold = scorer_threshold if self.threshold is None else self.threshold
        return Policy(threshold, action, self.on_error, self.timeout_ms)


class InputClassifierConfig(_GuardConfig):
    """Judges the prompt."""

    kind: Literal["input-classifier"]
    scorer: ScorerConfig = EmbeddingConfig(kind="embedding")
    gating: Literal["blocking", "speculative", "monitor"] = "blocking"
    refusal: str = REFUSAL


class OutputFilterConfig(_GuardConfig):
    """Judges the text while it streams."""

    kind: Literal["output-filter"]
    scorer: ScorerConfig = EmbeddingConfig(kind="embedding", head="answer")
    chunk_tokens: int = Field(default=16, ge=1)
    context_tokens: int = Field(default=48, ge=0)
    release: Literal["first", "after"] = "after"
    action: Literal["block", "redact"] = "block"

    @model_validator(mode="after")
    def _redaction_waits(self) -> "OutputFilterConfig":
        if self.action == "redact" and self.release == "first":
            raise ValueError("`action: redact` needs `release: after`: what has gone out cannot be redacted")
        return self


class RefusalRerankerConfig(_GuardConfig):
    """Samples n candidates and picks one."""

    kind: Literal["refusal-reranker"]
    n: int = Field(default=4, ge=1, le=64)
    temperature: float = Field(default=0.8, ge=0, le=2)
    refusal_weight: float = Field(default=0.5, ge=0)
    refusal: str = REFUSAL

    @model_validator(mode="after")
    def _candidates_differ(self) -> "RefusalRerankerConfig":
        if self.n > 1 and self.temperature == 0:
            raise ValueError("`n` over 1 needs a `temperature` over 0: greedy candidates are all the same")
        return self


GuardConfig = Annotated[InputClassifierConfig | OutputFilterConfig | RefusalRerankerConfig, Field(discriminator="kind")]


def needs_worker(config: GuardConfig) -> bool:
    """Whether the embedding worker must run for this guard."""
    return config.kind == "refusal-reranker" or config.scorer.kind == "embedding"


def build_guard(name: str, config: GuardConfig, worker: EmbeddingWorker | None) -> Guard:
    """Make the guard that `config` states. `worker` is needed where `needs_worker` says so."""
    if isinstance(config, InputClassifierConfig):
        scorer = _scorer(config.scorer, worker)
        return InputClassifier(scorer, config.policy(_threshold(config.scorer)), config.gating, config.refusal, name)
    if isinstance(config, OutputFilterConfig):
        scorer = _scorer(config.scorer, worker)
        policy = config.policy(_threshold(config.scorer), config.action)
        return OutputFilter(scorer, policy, config.chunk_tokens, config.context_tokens, config.release, name)
    worker = _need(worker)
    return RefusalReranker(
        scorer=EmbeddingScorer(worker, "answer", "refusal"),
        harm=EmbeddingScorer(worker, "prompt"),
        n=config.n,
        temperature=config.temperature,
        refusal_weight=config.refusal_weight,
        policy=config.policy(load_head("answer").threshold),
        refusal=config.refusal,
        name=name,
    )


def _scorer(config: EmbeddingConfig | RulesConfig, worker: EmbeddingWorker | None) -> Scorer:
    if isinstance(config, EmbeddingConfig):
        return EmbeddingScorer(_need(worker), config.head)
    words = tuple(words_rule(category, found) for category, found in config.words.items() if found)
    return RulesScorer(words + (PII_RULES if config.pii else ()))


def _threshold(config: EmbeddingConfig | RulesConfig) -> float:
    return load_head(config.head).threshold if isinstance(config, EmbeddingConfig) else 0.5


def _need(worker: EmbeddingWorker | None) -> EmbeddingWorker:
    if worker is None:
        raise ValueError("this guard needs the embedding worker")
    return worker
