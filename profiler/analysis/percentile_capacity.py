"""The highest rate at which a share of requests keeps an objective: read off measured rates, and drawn anew.

Between the highest rate that held and the lowest that did not, nothing was measured. The estimate there is straight
between the logarithms of the shares that missed: the chance of a long wait in a queue falls exponentially in what it
has to spare, P(W > t) ~ exp(-t (limit - rate)) (Kingman 1970; exact for M/M/1). The interval trusts no shape: each
draw puts the crossing anywhere between its two rates, all places alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profiler.analysis.capacity import Floats, RateResult, drawn_shares, non_increasing

RESAMPLES = 2000


@dataclass(frozen=True)
class Reading:
    """One objective. `held_hz`: the highest rate that held (0: none); `missed_hz`: the lowest that did not (inf: none).

    `estimate_hz` lies between, `draws_hz` (resamples,) are the same of data drawn anew; 0 and inf where there is none.
    """

    estimate_hz: float
    held_hz: float
    missed_hz: float
    draws_hz: Floats


def read_capacity(
    results: Sequence[RateResult], required: float, normal: Floats, places: Floats, *, interpolate: bool
) -> Reading:
    """Where the monotone fit of the shares crosses the required one.

    Args:
        results: one a rate, rising.
        required: the share.
        normal: shape (resamples, rates), standard normal: how far each share is off in a draw.
        places: shape (resamples,), uniform on 0 to 1: where in its bracket a draw's crossing is.
        interpolate: whether the estimate may lie between two rates; else it is the highest that held.

    Raises:
        ValueError: no rate, or shapes do not fit.
    """
    if not results or normal.shape != (len(places), len(results)):
        raise ValueError(f"need rates, and draws of them, not {len(results)} and {normal.shape}")
    rates = np.array([result.rate_hz for result in results])
    weights = np.array([float(result.weight) for result in results])
    fitted = non_increasing([result.share.estimate for result in results], weights)
    held_hz, missed_hz = _bracket(rates, fitted, required)
    estimate_hz = held_hz
    if math.isinf(missed_hz):
        estimate_hz = missed_hz
    elif interpolate and held_hz:
        estimate_hz = _crossing(rates, fitted, weights, required)
    shares = drawn_shares(results, normal)
    brackets = np.array([_bracket(rates, non_increasing(each, weights), required) for each in shares])
    low, high = brackets[:, 0], brackets[:, 1]
    # A draw that no rate holds lies below them all, one that none misses above: nothing bounds these.
    open_ended = (low == 0) | np.isinf(high)
    inside = low + places * np.where(open_ended, 0.0, high - low)
    return Reading(estimate_hz, held_hz, missed_hz, np.where(low == 0, 0.0, np.where(np.isinf(high), np.inf, inside)))


def _bracket(rates: Floats, fitted: Floats, required: float) -> tuple[float, float]:
    held = int(np.count_nonzero(fitted >= required))
    return (float(rates[held - 1]) if held else 0.0, float(rates[held]) if held < len(rates) else math.inf)


def _crossing(rates: Floats, fitted: Floats, weights: Floats, required: float) -> float:
    held = int(np.count_nonzero(fitted >= required))
    # Of n requests that all held, half a one stands for the few that would not.
    above = max(1 - fitted[held - 1], 0.5 / weights[held - 1])
    part = (math.log(1 - required) - math.log(above)) / (math.log(1 - fitted[held]) - math.log(above))
    return float(rates[held - 1] + min(max(part, 0.0), 1.0) * (rates[held] - rates[held - 1]))
