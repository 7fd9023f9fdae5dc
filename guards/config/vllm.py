"""The scorers that ask a guard model on vLLM: how they are stated, and how their models are opened."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from guards.config.base import Strict
from guards.families import Family, FamilyError, families, family_for, family_named
from guards.families.label_tokens import label_tokens, with_labels
from guards.guard import Scorer
from guards.loading import GuardConfigError
from guards.scorers.asking import Asking
from guards.scorers.guard_model import SERVED, GuardModelError, ModelHost
from guards.scorers.vllm_head import ClassifierHead, TokenHead
from guards.scorers.vllm_judge import LabelJudge, TextJudge
from guards.subject import Subject


class _ModelConfig(Strict):
    """`model`: hub id, folder or `embedded`. `engine`: vLLM's engine arguments by their own names."""

    model: str = Field(min_length=1)
    family: str | None = None  # None: by the model's name
    engine: dict[str, Any] = Field(default_factory=dict)

    def found_family(self) -> Family:
        """The family that says how the model is asked and read.

        Raises:
            ValueError: none is stated and the model's name tells none, or there is none of that name.
        """
        found = family_named(self.family) if self.family else family_for(self.model)
        if found is None:
            raise ValueError(f"no guard family goes by the name of {self.model}: state `family:` ({_known()})")
        return found


class VllmJudgeConfig(_ModelConfig):
    """A generative guard model in an engine of its own, or (`model: served`) the generator's, beside the traffic.

    `read: text` reads the verdict that it writes, `read: logprob` p(unsafe) from its label tokens. `sampling`:
    vLLM's sampling parameters by their own names, greedy without. `max_tokens`: the family's, unless stated.
    """

    kind: Literal["vllm-judge"]
    read: Literal["text", "logprob"] = "text"
    sampling: dict[str, Any] = Field(default_factory=dict)
    max_tokens: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _usable(self) -> "VllmJudgeConfig":
        family = self.found_family()
        if self.model == SERVED and self.engine:
            raise ValueError("`model: served` is the generator's engine: its arguments stand under `engine:` up there")
        if self.read == "logprob":
            _label_position(family)
            if self.sampling or self.max_tokens:
                raise ValueError("`sampling` and `max_tokens` are for `read: text`: nothing is written here")
        return self


class VllmHeadConfig(_ModelConfig):
    """A causal guard model read as a classifier in one prefill; `pooling: true`: a model that is a classifier.

    `labels`: the token of a safe text and that of an unsafe one, in place of the family's. `unsafe`: those labels of
    a pooling model that count as unsafe; it reads plain text and has no family.
    """

    kind: Literal["vllm-head"]
    labels: tuple[str, str] | None = None
    pooling: bool = False
    unsafe: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _usable(self) -> "VllmHeadConfig":
        if self.model == SERVED:
            raise ValueError("`model: served` writes and does not classify: use vllm-judge with `read: logprob`")
        if self.pooling:
            if not self.unsafe:
                raise ValueError("`pooling: true` needs `unsafe: [labels that count as unsafe]`")
            if self.family or self.labels:
                raise ValueError("`pooling: true` reads plain text by its own labels: leave `family` and `labels` out")
            return self
        if self.unsafe:
            raise ValueError("`unsafe` names a pooling model's labels: add `pooling: true`, or state `labels`")
        if self.labels and self.labels[0] == self.labels[1]:
            raise ValueError("`labels` are the token of a safe text and that of an unsafe one: they must differ")
        if not self.labels:
            _label_position(self.found_family())
        return self

    def found_family(self) -> Family:
        """The family, with the stated labels in place of its own."""
        family = super().found_family()
        return with_labels(family, *self.labels) if self.labels else family


VllmConfig = VllmJudgeConfig | VllmHeadConfig


async def open_models(configs: Mapping[str, VllmConfig], host: ModelHost | None) -> dict[str, Scorer]:
    """The scorers of these statements, by their keys; the host keeps their models.

    What can be told from the tokenizers alone is told of all of them before any model is started.

    Raises:
        GuardConfigError: no host, a label token that the model has not, a template that leaves the text out.
    """
    if configs and host is None:
        kind = next(iter(configs.values())).kind
        raise GuardConfigError(f"scorer {kind}: needs vLLM, which does not run here")
    if host is None:
        return {}
    asked = {key: _asking(config, host) for key, config in configs.items()}
    opened = {key: await _scorer(config, host, asked[key]) for key, config in configs.items()}
    for key, config in configs.items():
        if config.model != SERVED:  # which does not run yet
            await _warm_up(opened[key])
    return opened


async def _warm_up(scorer: Scorer) -> None:
    """Ask once: what vLLM compiles at a first request (seconds) is no part of a verdict's time."""
    try:
        await scorer.score(Subject("Hello?"))
    except GuardModelError:
        return  # whether it can judge shows in its verdicts


def _asking(config: VllmConfig, host: ModelHost) -> Asking | None:
    """How the model is asked; None of a pooling model, which reads plain text."""
    if isinstance(config, VllmHeadConfig) and config.pooling:
        return None
    family, tokenizer = config.found_family(), host.tokenizer(config.model, config.engine)
    written = isinstance(config, VllmJudgeConfig) and config.read == "text"
    try:
        asking = Asking(family, tokenizer) if written else Asking(family, tokenizer, label_tokens(family, tokenizer))
        asking.check()
    except FamilyError as error:
        raise GuardConfigError(f"scorer {config.kind}, model {config.model}: {error}") from error
    return asking


async def _scorer(config: VllmConfig, host: ModelHost, asking: Asking | None) -> Scorer:
    if asking is None:
        return await _classifier(config, host)
    if isinstance(config, VllmHeadConfig):
        return TokenHead(await host.head(config.model, config.engine, asking.labels.texts), asking)
    model = await host.writing(config.model, config.engine)
    if config.read == "logprob":
        return LabelJudge(model, asking)
    host.check_sampling(config.sampling)
    return TextJudge(model, asking, config.max_tokens or asking.family.max_new_tokens, config.sampling)


async def _classifier(config: VllmConfig, host: ModelHost) -> ClassifierHead:
    unsafe = frozenset(config.unsafe if isinstance(config, VllmHeadConfig) else ())
    model = await host.classifier(config.model, config.engine)
    if unknown := sorted(unsafe - set(model.labels)):
        raise GuardConfigError(
            f"scorer {config.kind}, model {config.model}: no label {unknown[0]}: it has {', '.join(model.labels)}"
        )
    return ClassifierHead(model, host.tokenizer(config.model, config.engine), unsafe)


def _label_position(family: Family) -> None:
    if family.reading.score_at is None:
        able = ", ".join(name for name, other in families().items() if other.reading.score_at)
        raise ValueError(f"family {family.name} has no label token to score; these have: {able}")


def _known() -> str:
    return ", ".join(families())
