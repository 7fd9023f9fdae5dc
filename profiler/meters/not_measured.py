"""That a machine lacks a meter."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Why this machine has no figure."""

    why: str
