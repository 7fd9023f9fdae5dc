"""Guards as a scenario states them, and how a statement becomes a guard."""

from guards.config.build import build_guard, build_guards
from guards.config.guards import (
    BreakerConfig,
    CustomConfig,
    GuardConfig,
    InputClassifierConfig,
    OutputFilterConfig,
    ParallelConfig,
    RefusalRerankerConfig,
    check_members,
    members,
    scorers_of,
)
from guards.config.resources import Resources, open_resources
from guards.config.scorers import CallableConfig, EmbeddingConfig, RulesConfig, ScorerConfig
from guards.config.transformer import TransformerConfig

__all__ = [
    "BreakerConfig",
    "CallableConfig",
    "CustomConfig",
    "EmbeddingConfig",
    "GuardConfig",
    "InputClassifierConfig",
    "OutputFilterConfig",
    "ParallelConfig",
    "RefusalRerankerConfig",
    "Resources",
    "RulesConfig",
    "ScorerConfig",
    "TransformerConfig",
    "build_guard",
    "build_guards",
    "check_members",
    "members",
    "open_resources",
    "scorers_of",
]
