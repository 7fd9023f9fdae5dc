"""How a statement becomes a guard."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from guards.config.guards import (
    CustomConfig,
    GuardConfig,
    InputClassifierConfig,
    OutputFilterConfig,
    ParallelConfig,
)
from guards.config.resources import Resources
from guards.config.scorers import (
    CallableConfig,
    CascadeConfig,
    EmbeddingConfig,
    FrameworkConfig,
    RulesConfig,
    ScorerConfig,
)
from guards.guard import Guard, Scorer
from guards.input_classifier import InputClassifier
from guards.loading import GuardConfigError, custom_guard, load_object
from guards.output_filter import OutputFilter
from guards.parallel import Parallel
from guards.refusal_reranker import RefusalReranker
from guards.scorers.builtin_rules import PERSONAL, SECRETS
from guards.scorers.callable import CallableScorer
from guards.scorers.cascade import Cascade
from guards.scorers.frameworks import framework_function
from guards.scorers.rules import RulesScorer, pattern_rule, words_rule
from guards.scorers.scan import Rule
from guards.scorers.threads import DaemonThreads


def build_guards(
    configs: Mapping[str, GuardConfig], resources: Resources | None = None, *, enforced: bool = True
) -> dict[str, Guard]:
    """Make a scenario's guards, the user's own among them. `resources` holds what had to be started.

    Not `enforced`: the guards do all their work and record their verdicts, and every text passes.

    Raises:
        GuardConfigError: the user's code cannot be loaded or is not what it should be.
    """
    alone = {name: config for name, config in configs.items() if not isinstance(config, ParallelConfig)}
    built = {name: build_guard(name, config, resources, enforced=enforced) for name, config in alone.items()}
    for name, config in configs.items():
        if isinstance(config, ParallelConfig):
            asked = [built[member] for member in config.guards]
            built[name] = Parallel(tuple(guard for guard in asked if isinstance(guard, InputClassifier)), name)
    return {name: built[name] for name in configs}


def build_guard(name: str, config: GuardConfig, resources: Resources | None = None, *, enforced: bool = True) -> Guard:
    """Make one guard that needs no other: see `build_guards`."""
    if isinstance(config, ParallelConfig):
        raise GuardConfigError(f"guards.{name}: a parallel guard is made of others: use build_guards")
    if isinstance(config, CustomConfig):
        if not enforced:
            raise GuardConfigError(
                f"guards.{name}: a custom guard acts by itself: its verdicts cannot be recorded only"
            )
        return custom_guard(config.class_, config.options, f"guards.{name}")
    if isinstance(config, InputClassifierConfig):
        scorer = config.guarded(_scorer(config.scorer, resources, name))
        policy = config.policy(_threshold(config.scorer), config.action)
        return InputClassifier(scorer, replace(policy, enforced=enforced), config.gating, config.refusal, name)
    if isinstance(config, OutputFilterConfig):
        scorer = config.guarded(_scorer(config.scorer, resources, name))
        policy = config.policy(_threshold(config.scorer), config.action)
        policy = replace(policy, enforced=enforced)
        return OutputFilter(scorer, policy, config.chunk_tokens, config.context_tokens, config.release, name)
    return RefusalReranker(
        scorer=config.guarded(_scorer(config.scorer, resources, name)),
        harm=config.guarded(_scorer(config.harm, resources, name, "harm")),
        n=config.n,
        temperature=config.temperature,
        refusal_weight=config.refusal_weight,
        policy=replace(config.policy(_threshold(config.scorer)), enforced=enforced),
        refusal=config.refusal,
        name=name,
        mode=config.mode,
        step=config.step,
        accept_utility=config.accept_utility,
    )


def _scorer(config: ScorerConfig, resources: Resources | None, guard: str, key: str = "scorer") -> Scorer:
    if isinstance(config, CascadeConfig):
        cheap, dear = (_scorer(part, resources, guard, f"{key}.cascade.{i}") for i, part in enumerate(config.cascade))
        return Cascade(cheap, dear, config.band)
    if isinstance(config, CallableConfig):
        return _callable(config, f"guards.{guard}.{key}.function")
    if isinstance(config, FrameworkConfig):
        function = framework_function(config.package, config.options, f"guards.{guard}.{key}")
        return CallableScorer(function, DaemonThreads(config.threads), config.max_match_chars)
    if isinstance(config, RulesConfig):
        return _rules(config)
    return (resources or Resources()).scorer(config)


def _rules(config: RulesConfig) -> RulesScorer:
    words = [words_rule(category, found) for category, found in config.words.items() if found]
    patterns = [pattern_rule(category, one) for category, found in config.patterns.items() for one in found]
    return RulesScorer((*words, *patterns, *_chosen(SECRETS, config.secrets), *_chosen(PERSONAL, config.pii)))


def _chosen(rules: Sequence[Rule], which: bool | Sequence[str]) -> list[Rule]:
    return [rule for rule in rules if which is True or (which and rule.category in which)]


def _callable(config: CallableConfig, where: str) -> CallableScorer:
    function = load_object(config.function, where)
    if not callable(function):
        raise GuardConfigError(f"{where}: {config.function} is not a function")
    return CallableScorer(function, DaemonThreads(config.threads), config.max_match_chars)


def _threshold(config: ScorerConfig) -> float:
    """The scorer's own operating point; a cascade's is the dear one's."""
    if isinstance(config, CascadeConfig):
        return _threshold(config.cascade[1])
    if not isinstance(config, EmbeddingConfig):
        return 0.5
    # Here, so that what only reads statements, as a report does, loads no torch.
    from guards.scorers.heads import load_head

    return load_head(config.head).threshold
