"""A machine whose speed drifts: what makes a tax hard to see, made to order."""

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class NoiseParameters:
    """How unsteady the modelled machine is.

    `drift_spread`: standard deviation of log speed, so 0.11 is 11 %. `drift_correlation_s`: time after
    which its autocorrelation has fallen to 1/e. `jitter_spread`: the same for each step's independent
    noise. `grid_ns`: how often the drift moves.
    """

    drift_spread: float = 0.0
    drift_correlation_s: float = 10.0
    jitter_spread: float = 0.0
    grid_ns: int = 100_000_000

    def __post_init__(self) -> None:
        """Refuse what is no noise.

        Raises:
            ValueError: a negative spread, or a time that is not positive.
        """
        if self.drift_spread < 0 or self.jitter_spread < 0:
            raise ValueError("a spread cannot be negative")
        if self.drift_correlation_s <= 0 or self.grid_ns <= 0:
            raise ValueError("correlation time and grid must be positive")


class SpeedNoise:
    """Speed relative to a steady machine: exp(x), x a stationary AR(1) process on a grid of time.

    x moves as x' = a x + sqrt(1 - a^2) s e, a = exp(-grid / correlation time), e standard normal: the
    Ornstein-Uhlenbeck process seen at the grid's times. The path begins at the first time asked for and
    depends on the seed and the time since then alone, never on how often it is asked.
    """

    def __init__(self, parameters: NoiseParameters, seed: int) -> None:
        """Draw the first value from the stationary distribution."""
        self._parameters = parameters
        self._start_ns: int | None = None
        self._drift = Random(f"drift {seed}")
        self._jitter = Random(f"jitter {seed}")
        self._keep = math.exp(-parameters.grid_ns / 1e9 / parameters.drift_correlation_s)
        self._kick = parameters.drift_spread * math.sqrt(1 - self._keep**2)
        self._at = 0
        self._x = self._drift.gauss(0.0, parameters.drift_spread)
        self._speed = math.exp(self._x)

    def speed_at(self, now_ns: int) -> float:
        """The drifting speed at a time that is not before the last one asked for."""
        if self._start_ns is None:
            self._start_ns = now_ns
        wanted = (now_ns - self._start_ns) // self._parameters.grid_ns
        if wanted > self._at:
            self._advance(wanted)
        return self._speed

    def jitter(self) -> float:
        """One step's independent factor."""
        spread = self._parameters.jitter_spread
        return math.exp(self._jitter.gauss(0.0, spread)) if spread else 1.0

    def _advance(self, wanted: int) -> None:
        if self._kick:
            for _ in range(wanted - self._at):
                self._x = self._keep * self._x + self._kick * self._drift.gauss(0.0, 1.0)
            self._speed = math.exp(self._x)
        self._at = wanted
