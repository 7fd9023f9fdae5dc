"""Guards as a scenario states them, and how a statement becomes a guard."""

from guards.config.build import build_guard, build_guards
from guards.config.endpoint import EndpointConfig
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
from guards.config.placement import placement, placements
from guards.config.resources import Resources, open_resources
from guards.config.scorers import (
    CallableConfig,
    CascadeConfig,
    EmbeddingConfig,
    FrameworkConfig,
    RulesConfig,
    ScorerConfig,
)
from guards.config.transformer import TransformerConfig
from guards.config.vllm import VllmHeadConfig, VllmJudgeConfig

__all__ = [
    "BreakerConfig",
    "CallableConfig",
    "CascadeConfig",
    "CustomConfig",
    "EmbeddingConfig",
    "EndpointConfig",
    "FrameworkConfig",
    "GuardConfig",
    "InputClassifierConfig",
    "OutputFilterConfig",
    "ParallelConfig",
    "RefusalRerankerConfig",
    "Resources",
    "RulesConfig",
    "ScorerConfig",
    "TransformerConfig",
    "VllmHeadConfig",
    "VllmJudgeConfig",
    "build_guard",
    "build_guards",
    "check_members",
    "members",
    "open_resources",
    "placement",
    "placements",
    "scorers_of",
]
