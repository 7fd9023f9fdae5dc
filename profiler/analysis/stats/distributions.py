"""Quantiles of the distributions used here. `scipy.special`, since `scipy.stats` takes a second to import."""

import math

from scipy import special  # type: ignore[import-untyped,unused-ignore]


def t_quantile(p: float, df: float) -> float:
    """The p-quantile of Student's t with `df` degrees of freedom (Student 1908)."""
    return float(special.stdtrit(df, p))


def normal_quantile(p: float) -> float:
    """The p-quantile of the standard normal distribution."""
    return float(special.ndtri(p))


def t_two_sided_p(t: float, df: float) -> float:
    """P(|T| >= |t|) for Student's t with `df` degrees of freedom."""
    return float(2 * special.stdtr(df, -abs(t)))


def binomial_quantile(p: float, n: int, success: float) -> int:
    """The smallest k with P(B <= k) >= p, for B binomial(n, success)."""
    k = max(0, min(n, math.ceil(float(special.bdtrik(p, n, success)))))
    return k - 1 if k > 0 and float(special.bdtr(k - 1, n, success)) >= p else k
