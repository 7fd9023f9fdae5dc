"""What a run could have seen, and what may be claimed from what it saw."""

import math
from typing import Literal

from profiler.analysis.stats.distributions import t_quantile
from profiler.analysis.stats.interval import Interval

Claim = Literal["tax", "saving", "below the noise floor", "no difference found"]


def minimum_detectable_effect(se: float, df: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true effect that a run with this standard error finds with probability `power`.

    Bloom 1995: se * (t(1 - alpha/2) + t(power)), two-sided test at level alpha. The second t is
    an approximation to the noncentral t; power is within 0.02 of that asked for from 5 degrees of freedom.

    Args:
        se: standard error of the estimate; the answer has its unit.
        df: degrees of freedom, blocks - 1 for paired blocks.

    Raises:
        ValueError: se negative or not finite, df not positive, alpha or power not strictly in 0 to 1.
    """
    if not 0 <= se < math.inf or not df > 0:
        raise ValueError(f"need a finite standard error and positive df, not {se} and {df}")
    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"alpha and power must be strictly between 0 and 1, not {alpha} and {power}")
    return se * max(0.0, t_quantile(1 - alpha / 2, df) + t_quantile(power, df))


def noise_floor(aa: Interval) -> float:
    """The size under which no difference is claimed, from the baseline against itself (A/A).

    The larger of the A/A interval's half-width and its estimate. While the A/A shows nothing, that is how
    far two equal arms may appear apart at this confidence. Where the A/A interval excludes zero, the
    instrument is biased by about the estimate, and the floor is that bias. +inf where the A/A is unbounded.
    The A/A must be of the same metric, quantile and scale (absolute or relative) as the claim.
    Kohavi, Tang & Xu 2020, chapter 19 (A/A tests).
    """
    return max(aa.half_width, abs(aa.estimate))


def verdict(tax: Interval, floor: float) -> Claim:
    """What the interval of a tax, and the A/A noise floor in the same unit, allow to be said.

    A claim needs two things. The interval must exclude zero: the difference is more than the spread of
    blocks explains. The estimate must exceed the floor: it is more than this instrument sees between equal
    arms. Significant but under the floor is "below the noise floor"; not significant is "no difference
    found", which does not say that there is none (`minimum_detectable_effect` says what would have been
    found). The second condition only withholds claims, so false positives stay under 1 - confidence.

    Positive is a tax and negative a saving: for a metric where more is better (throughput), hand over the
    loss. Kohavi, Tang & Xu 2020, chapters 17 and 19.

    Raises:
        ValueError: floor negative or NaN.
    """
    if not floor >= 0:
        raise ValueError(f"a noise floor is zero or more, not {floor}")
    if not tax.excludes_zero:
        return "no difference found"
    if abs(tax.estimate) <= floor:
        return "below the noise floor"
    return "tax" if tax.estimate > 0 else "saving"
