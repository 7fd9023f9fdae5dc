"""That a machine lacks a meter."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Why this machine has no figure, and what would change that, where anything would."""

    why: str
    cure: str = ""

    @property
    def line(self) -> str:
        """Both in one."""
        return f"{self.why}: {self.cure}" if self.cure else self.why
