"""Guards as a scenario states them, and how a statement becomes a guard."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from guards.breaker import Breaker
from guards.check import Policy
from guards.guard import Guard, Scorer
from guards.input_classifier import REFUSAL, InputClassifier
from guards.loading import GuardConfigError, custom_guard, load_object
from guards.output_filter import OutputFilter
from guards.parallel import Parallel
from guards.refusal_reranker import RefusalReranker
from guards.scorers.callable import CallableScorer
from guards.scorers.embedding import EmbeddingScorer
from guards.scorers.heads import load_head
from guards.scorers.rules import PII_RULES, RulesScorer, words_rule
from guards.scorers.threads import DaemonThreads
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


class CallableConfig(_Strict):
    """A function of the user's: `module:function`. `threads` are a sync function's; `max_match_chars` its spans'."""

    kind: Literal["callable"]
    function: str = Field(min_length=1)
    threads: int = Field(default=4, ge=1, le=64)
    max_match_chars: int = Field(default=0, ge=0)


class BreakerConfig(_Strict):
    """After `failures` failures in a row the scorer is left alone for `cooldown_s`."""

    failures: int = Field(default=5, ge=1)
    cooldown_s: float = Field(default=10.0, gt=0, allow_inf_nan=False)


ScorerConfig = Annotated[EmbeddingConfig | RulesConfig | CallableConfig, Field(discriminator="kind")]
Probability = Annotated[float, Field(ge=0, le=1)]


class _GuardConfig(_Strict):
    on_error: Literal["open", "closed"] = "open"
    timeout_ms: float | None = Field(default=None, gt=0)
    threshold: Probability | None = None  # None: the scorer's own operating point
    breaker: BreakerConfig | None = None

    def policy(self, scorer_threshold: float, action: Literal["block", "redact", "flag"] = "block") -> Policy:
        """Threshold and failure policy."""
        threshold = scorer_threshold if self.threshold is None else self.threshold
        # A breaker keeps the timeout itself, since it must know of it.
        return Policy(threshold, action, self.on_error, self.timeout_ms if self.breaker is None else None)

    def guarded(self, scorer: Scorer) -> Scorer:
        """The scorer behind its breaker, if there is one."""
        if self.breaker is None:
            return scorer
        return Breaker(scorer, self.breaker.failures, self.breaker.cooldown_s, self.timeout_ms)


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


class CustomConfig(_Strict):
    """A guard of the user's: `class: module:Class`, or the name of an entry point; `options` are its arguments."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    kind: Literal["custom"]
    class_: str = Field(alias="class", min_length=1)
    options: dict[str, Any] = {}


class ParallelConfig(_Strict):
    """Input classifiers of the scenario, by name, that judge at once."""

    kind: Literal["parallel"]
    guards: list[str] = Field(min_length=1)


GuardConfig = Annotated[
    InputClassifierConfig | OutputFilterConfig | RefusalRerankerConfig | CustomConfig | ParallelConfig,
    Field(discriminator="kind"),
]


def members(config: GuardConfig) -> tuple[str, ...]:
    """The other guards that `config` names."""
    return tuple(config.guards) if isinstance(config, ParallelConfig) else ()


def check_members(configs: Mapping[str, GuardConfig]) -> None:
    """See that every parallel guard names input classifiers that can judge at once.

    Raises:
        ValueError: an unknown name, another kind of guard, a guard named twice, or one that is not blocking.
    """
    for name, config in configs.items():
        named = members(config)
        where = f"guards.{name}.guards"
        if len(set(named)) < len(named):
            raise ValueError(f"{where} names a guard twice: leave one out")
        for member in named:
            other = configs.get(member)
            if other is None:
                raise ValueError(f"{where} names the unknown guard `{member}`: there are {', '.join(configs)}")
            if not isinstance(other, InputClassifierConfig):
                raise ValueError(
                    f"{where} names `{member}`, a {other.kind}: only an input-classifier can judge at once"
                )
            if other.gating != "blocking":
                raise ValueError(f"{where} names `{member}`, which is {other.gating}: make it `gating: blocking`")


def needs_worker(config: GuardConfig) -> bool:
    """Whether the embedding worker must run for this guard, beside the guards that it names."""
    if isinstance(config, CustomConfig | ParallelConfig):
        return False
    return config.kind == "refusal-reranker" or config.scorer.kind == "embedding"


def build_guards(configs: Mapping[str, GuardConfig], worker: EmbeddingWorker | None) -> dict[str, Guard]:
    """Make a scenario's guards, the user's own among them. `worker` is needed where any `needs_worker`.

    Raises:
        GuardConfigError: the user's code cannot be loaded or is not what it should be.
    """
    built = {name: build_guard(name, c, worker) for name, c in configs.items() if not isinstance(c, ParallelConfig)}
    for name, config in configs.items():
        if isinstance(config, ParallelConfig):
            asked = [built[member] for member in config.guards]
            built[name] = Parallel(tuple(guard for guard in asked if isinstance(guard, InputClassifier)), name)
    return {name: built[name] for name in configs}


def build_guard(name: str, config: GuardConfig, worker: EmbeddingWorker | None) -> Guard:
    """Make one guard that needs no other: see `build_guards`."""
    if isinstance(config, ParallelConfig):
        raise GuardConfigError(f"guards.{name}: a parallel guard is made of others: use build_guards")
    if isinstance(config, CustomConfig):
        return custom_guard(config.class_, config.options, f"guards.{name}")
    if isinstance(config, InputClassifierConfig):
        scorer = config.guarded(_scorer(config.scorer, worker, name))
        return InputClassifier(scorer, config.policy(_threshold(config.scorer)), config.gating, config.refusal, name)
    if isinstance(config, OutputFilterConfig):
        scorer = config.guarded(_scorer(config.scorer, worker, name))
        policy = config.policy(_threshold(config.scorer), config.action)
        return OutputFilter(scorer, policy, config.chunk_tokens, config.context_tokens, config.release, name)
    worker = _need(worker)
    return RefusalReranker(
        scorer=config.guarded(EmbeddingScorer(worker, "answer", "refusal")),
        harm=config.guarded(EmbeddingScorer(worker, "prompt")),
        n=config.n,
        temperature=config.temperature,
        refusal_weight=config.refusal_weight,
        policy=config.policy(load_head("answer").threshold),
        refusal=config.refusal,
        name=name,
    )


def _scorer(config: ScorerConfig, worker: EmbeddingWorker | None, guard: str) -> Scorer:
    if isinstance(config, EmbeddingConfig):
        return EmbeddingScorer(_need(worker), config.head)
    if isinstance(config, CallableConfig):
        return _callable(config, f"guards.{guard}.scorer.function")
    words = tuple(words_rule(category, found) for category, found in config.words.items() if found)
    return RulesScorer(words + (PII_RULES if config.pii else ()))


def _callable(config: CallableConfig, where: str) -> CallableScorer:
    function = load_object(config.function, where)
    if not callable(function):
        raise GuardConfigError(f"{where}: {config.function} is not a function")
    return CallableScorer(function, DaemonThreads(config.threads), config.max_match_chars)


def _threshold(config: ScorerConfig) -> float:
    return load_head(config.head).threshold if isinstance(config, EmbeddingConfig) else 0.5


def _need(worker: EmbeddingWorker | None) -> EmbeddingWorker:
    if worker is None:
        raise ValueError("this guard needs the embedding worker")
    return worker
