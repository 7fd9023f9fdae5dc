"""What every estimate is reported as: a number and how far it may be off."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval, all in the unit of the thing estimated.

    `low` may be -inf and `high` +inf: the data set no bound there. `confidence` is the two-sided level,
    0.95 for 95 %.
    """

    estimate: float
    low: float
    high: float
    confidence: float

    def __post_init__(self) -> None:
        """Refuse what is no interval.

        Raises:
            ValueError: a NaN, low above high, or a confidence that is not strictly between 0 and 1.
        """
        if math.isnan(self.estimate) or not self.low <= self.high:
            raise ValueError(f"no interval: {self.low} to {self.high}, estimate {self.estimate}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1, not {self.confidence}")

    @property
    def half_width(self) -> float:
        """Half the distance from low to high; +inf where an end is unbounded."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside: the difference is significant at 1 - confidence."""
        return not self.contains(0.0)

    def contains(self, x: float) -> bool:
        """Whether x lies in the closed interval."""
        return self.low <= x <= self.high
