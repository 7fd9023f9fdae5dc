"""What an engine offers beyond being a generator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from guards.generation import Generator


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """The engine's own running totals (counts since start) and gauges (now)."""

    running: int
    waiting: int
    generation_tokens: int
    aborted: int
    preemptions: int


class Engine(Generator, Protocol):
    """A generator with a life cycle and counters of its own."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What a report must name: engine, version, model, device, dtype."""
        ...

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes of its own, for attribution."""
        ...

    async def reset_prefix_cache(self) -> None:
        """Forget every cached prompt prefix."""
        ...

    def counters(self) -> EngineCounters:
        """The engine's own counts."""
        ...

    async def close(self) -> None:
        """Stop the engine and its processes."""
        ...
