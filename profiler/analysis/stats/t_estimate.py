"""An estimate that follows Student's t: what the means, the clustered means and the quantiles share."""

import math
from dataclasses import dataclass

from profiler.analysis.stats.distributions import t_quantile, t_two_sided_p
from profiler.analysis.stats.interval import Interval


class NotEnoughBlocks(ValueError):
    """Fewer than two blocks: nothing says how much blocks differ."""


@dataclass(frozen=True, slots=True)
class TEstimate:
    """(estimate - truth) / standard_error follows t with `df` degrees of freedom (Student 1908).

    `estimate` and `standard_error` share a unit. Where they are on the log scale, `relative_interval` gives
    the relative change that they stand for: 0.05 is +5 %.
    """

    estimate: float
    standard_error: float
    df: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """Estimate -+ t(df) * standard error, in the estimate's unit.

        Raises:
            ValueError: confidence not strictly between 0 and 1.
        """
        reach = self._reach(confidence)
        return Interval(self.estimate, self.estimate - reach, self.estimate + reach, confidence)

    def relative_interval(self, confidence: float = 0.95) -> Interval:
        """The interval of exp(estimate) - 1, for an estimate that is a log ratio.

        Raises:
            ValueError: confidence not strictly between 0 and 1.
        """
        reach = self._reach(confidence)
        low, high = self.estimate - reach, self.estimate + reach
        return Interval(math.expm1(self.estimate), _expm1(low), _expm1(high), confidence)

    @property
    def p_value(self) -> float:
        """Two-sided p of the hypothesis that the truth is 0; what `holm` takes."""
        if self.standard_error == 0:
            return 1.0 if self.estimate == 0 else 0.0
        return t_two_sided_p(self.estimate / self.standard_error, self.df)

    def _reach(self, confidence: float) -> float:
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
        return t_quantile((1 + confidence) / 2, self.df) * self.standard_error


def _expm1(x: float) -> float:
    """expm1 that overflows to +inf: a bound that the data do not set."""
    return math.inf if x > 700 else math.expm1(x)
