"""A point of a sweep: the settings that were varied, the arm that ran, the thresholds that are re-scored."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Point:
    """One setting of the grid.

    `settings` by key of the grid, as text. `arm` is the arm that ran. `thresholds` by the guard's name in that arm:
    the arm ran at the loosest of them, and what another one would have stopped follows from the stored
    probabilities; `rescored` says that this point is such another one.
    """

    label: str
    arm: str
    settings: Mapping[str, str]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    rescored: bool = False

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Point":
        """As the manifest has kept it."""
        return cls(**stored)
