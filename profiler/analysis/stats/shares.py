"""Shares of distinct prompts, and the difference of two arms' shares, by Wilson's score interval."""

import math

import numpy as np
import numpy.typing as npt

from guards.training.shares import wilson
from profiler.analysis.stats.distributions import normal_quantile
from profiler.analysis.stats.interval import Interval

Floats = npt.NDArray[np.float64]


def share_interval(values: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of `values` with Wilson's score interval (1927).

    The unit is the distinct prompt: one that was sent several times counts once, with the share of its requests.
    Such fractions spread less than yes and no do, so the interval is then rather too wide (`wilson`).

    Args:
        values: shape (prompts,), each between 0 and 1.
        confidence: two-sided level.

    Raises:
        ValueError: no value, one outside 0 to 1, or confidence not strictly between 0 and 1.
    """
    checked = _checked(values)
    return share_of(float(checked.mean()), len(checked), confidence)


def share_of(share: float, n: float, confidence: float = 0.95) -> Interval:
    """The same from the share and the number of prompts behind it.

    Raises:
        ValueError: a share outside 0 to 1, no prompts, or confidence not strictly between 0 and 1.
    """
    if not 0 <= share <= 1 or n <= 0 or not 0 < confidence < 1:
        raise ValueError(f"need a share, prompts and a confidence between 0 and 1, not {share}, {n}, {confidence}")
    low, high = wilson(share, n, normal_quantile((1 + confidence) / 2))
    return Interval(share, min(low, share), max(high, share), confidence)


def share_difference(before: npt.ArrayLike, after: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of `after` less that of `before`, prompts paired.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on paired
    data", method 10: the two Wilson intervals are put together with the correlation of the pairs, itself corrected for
    continuity. Unlike a bootstrap it has a width where no prompt differs. Coverage of a true difference of 0 in %,
    nominal 95, over 4,000 runs with 10, 30 and 100 prompts of which 80 % agree in any case: 100, 100,
    98.4 where the share is 10 %, and 99.9, 99.1, 95.7 where it is 40 %.

    Args:
        before: shape (prompts,), each between 0 and 1.
        after: the same prompts in the same order.
        confidence: two-sided level.

    Raises:
        ValueError: as `share_interval`, or numbers of prompts differ.
    """
    first, second = _checked(before), _checked(after)
    if len(first) != len(second):
        raise ValueError(f"prompts must pair one to one: {len(first)} and {len(second)}")
    b, a, r = share_interval(first, confidence), share_interval(second, confidence), _correlation(first, second)
    down = _joined(a.estimate - a.low, b.high - b.estimate, r)
    up = _joined(a.high - a.estimate, b.estimate - b.low, r)
    found = a.estimate - b.estimate
    return Interval(found, max(-1.0, found - down), min(1.0, found + up), confidence)


def _joined(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def _correlation(first: Floats, second: Floats) -> float:
    """Newcombe's phi, as if each value were yes or no; 0 where one side is the same for all prompts."""
    p, q = float(first.mean()), float(second.mean())
    spread = math.sqrt(max(0.0, p * (1 - p) * q * (1 - q)))
    together = float(((first - p) * (second - q)).mean())
    if together > 0:
        together = max(0.0, together - 1 / (2 * len(first)))
    return together / spread if spread > 0 else 0.0


def _checked(values: npt.ArrayLike) -> Floats:
    found = np.asarray(values, dtype=np.float64).ravel()
    if not len(found) or not bool(((found >= 0) & (found <= 1)).all()):
        raise ValueError("need one or more values, each between 0 and 1")
    return found
