"""Guards as a scenario states them: one class a kind."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from guards.breaker import Breaker
from guards.check import Policy
from guards.config.base import Probability, Strict
from guards.config.scorers import EmbeddingConfig, ScorerConfig
from guards.guard import Scorer
from guards.input_classifier import REFUSAL


class BreakerConfig(Strict):
    """After `failures` failures in a row the scorer is left alone for `cooldown_s`."""

    failures: int = Field(default=5, ge=1)
    cooldown_s: float = Field(default=10.0, gt=0, allow_inf_nan=False)


class _GuardConfig(Strict):
    on_error: Literal["open", "closed"] = "open"
    timeout_ms: float | None = Field(default=None, gt=0)
    threshold: Probability | None = None  # None: the scorer's own operating point
    breaker: BreakerConfig | None = None

    def policy(
        self, scorer_threshold: float, action: Literal["block", "redact", "rewrite", "flag"] = "block"
    ) -> Policy:
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
    """Judges the prompt. `action` is what becomes of an unsafe one.

    `flag` lets it pass and records the verdict; `rewrite` sends the scorer's own wording on, `redact` the prompt with
    its spans masked. Where the scorer gives neither wording nor spans, the prompt is blocked.
    """

    kind: Literal["input-classifier"]
    scorer: ScorerConfig = EmbeddingConfig(kind="embedding")
    gating: Literal["blocking", "speculative", "monitor"] = "blocking"
    action: Literal["block", "flag", "rewrite", "redact"] = "block"
    refusal: str = REFUSAL

    @model_validator(mode="after")
    def _monitor_changes_nothing(self) -> "InputClassifierConfig":
        if self.gating == "monitor" and self.action in ("rewrite", "redact"):
            raise ValueError(f"`gating: monitor` cannot {self.action}: use `action: flag`, or another gating")
        return self


def _chunk(stated: Any) -> Any:
    if stated == "whole" or (isinstance(stated, int) and not isinstance(stated, bool) and stated >= 1):
        return stated
    raise ValueError(f"is {stated!r}: give a number of tokens from 1 up, or `whole`")


class OutputFilterConfig(_GuardConfig):
    """Judges the text while it streams; `chunk_tokens: whole`: once, at the end."""

    kind: Literal["output-filter"]
    scorer: ScorerConfig = EmbeddingConfig(kind="embedding", head="answer")
    chunk_tokens: Annotated[int | Literal["whole"], BeforeValidator(_chunk)] = 16
    context_tokens: int = Field(default=48, ge=0)
    release: Literal["first", "after"] = "after"
    action: Literal["block", "redact", "rewrite", "flag"] = "block"

    @model_validator(mode="after")
    def _text_is_still_there(self) -> "OutputFilterConfig":
        if self.action in ("redact", "rewrite") and self.release == "first":
            raise ValueError(f"`action: {self.action}` needs `release: after`: what has gone out cannot be changed")
        if self.action == "rewrite" and self.chunk_tokens != "whole":
            raise ValueError("`action: rewrite` needs `chunk_tokens: whole`: a scorer rewrites an answer, not a chunk")
        return self


class RefusalRerankerConfig(_GuardConfig):
    """Samples n candidates and picks one; `sequential`: `step` at a time, until one passes.

    With `n: 1` it is a filter, and `temperature` is the request's own.
    """

    kind: Literal["refusal-reranker"]
    mode: Literal["best-of-n", "sequential"] = "best-of-n"
    n: int = Field(default=4, ge=1, le=64)
    step: int = Field(default=1, ge=1, le=64)
    accept_utility: float | None = Field(default=None, allow_inf_nan=False)
    temperature: float = Field(default=0.8, ge=0, le=2)
    refusal_weight: float = Field(default=0.5, ge=0)
    refusal: str = REFUSAL
    scorer: ScorerConfig = EmbeddingConfig(kind="embedding", head="answer", refusal=True)
    harm: ScorerConfig = EmbeddingConfig(kind="embedding", head="prompt")

    @model_validator(mode="after")
    def _candidates_differ(self) -> "RefusalRerankerConfig":
        if self.n > 1 and self.temperature == 0:
            raise ValueError("`n` over 1 needs a `temperature` over 0: greedy candidates are all the same")
        return self

    @model_validator(mode="after")
    def _only_sequential_stops_early(self) -> "RefusalRerankerConfig":
        stated = {"step": self.step != 1, "accept_utility": self.accept_utility is not None}
        if self.mode == "best-of-n" and any(stated.values()):
            key = next(key for key, given in stated.items() if given)
            raise ValueError(f"`{key}` needs `mode: sequential`: best-of-n samples all candidates at once")
        return self


class CustomConfig(Strict):
    """A guard of the user's: `class: module:Class`, or the name of an entry point; `options` are its arguments."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    kind: Literal["custom"]
    class_: str = Field(alias="class", min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)


class ParallelConfig(Strict):
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
            if other.action in ("rewrite", "redact"):
                raise ValueError(
                    f"{where} names `{member}`, whose action is {other.action}: guards that judge at once can only "
                    "block or flag"
                )


def scorers_of(config: GuardConfig) -> Iterator[ScorerConfig]:
    """The scorers that a guard asks itself, beside those of the guards that it names."""
    if isinstance(config, InputClassifierConfig | OutputFilterConfig):
        yield config.scorer
    elif isinstance(config, RefusalRerankerConfig):
        yield config.scorer
        yield config.harm
