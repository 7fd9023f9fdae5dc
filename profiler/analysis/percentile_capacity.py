"""The highest rate at which a share of requests keeps an objective: read off measured rates, and drawn anew.

Between the highest rate that held and the lowest that did not, nothing was measured. The estimate there is straight
between the logarithms of the shares that missed: the chance of a long wait in a queue falls exponentially in what it
has to spare, P(W > t) ~ exp(-t (limit - rate)) (Kingman 1970; exact for M/M/1). The interval trusts no shape: each
draw puts the crossing anywhere between its two rates, all places alike.

Coverage at 95 % on M/D/1 queues (p99 of the response, 7 to 11 rates, 200 sweeps each; % of the sweeps that missed the
objective at some rate), and with intervals that take requests for independent (60 sweeps each):

    limit        requests a rate, counted     this    independent
    5 services     800                        100     97
    5 services   3,200                        100     98
    13 services    480                         98     38
    13 services  1,600                         99     69
    21 services  1,600                         91     not tried (the highest rate is 1 % above the truth)

It is wider than it must be where bursts are short: a probe of a few hundred requests says little of a p99.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profiler.analysis.capacity import Floats, RateResult, drawn_shares, non_increasing

RESAMPLES = 2000


@dataclass(frozen=True)
class Reading:
    """One objective. `held_hz`: the highest rate that held (0: none); `missed_hz`: the lowest that did not (inf: none).

    `crossing_hz` lies between, `draws_hz` (resamples,) are the same of data drawn anew; 0 and inf where there is none.
    """

    crossing_hz: float
    held_hz: float
    missed_hz: float
    draws_hz: Floats


def read_capacity(results: Sequence[RateResult], required: float, normal: Floats, places: Floats) -> Reading:
    """Where the monotone fit of the shares crosses the required one.

    Args:
        results: one a rate, rising.
        required: the share.
        normal: shape (resamples, rates), standard normal: how far each share is off in a draw.
        places: shape (resamples,), uniform on 0 to 1: where in its bracket a draw's crossing is.

    Raises:
        ValueError: no rate, or shapes do not fit.
    """
    if not results or normal.shape != (len(places), len(results)):
        raise ValueError(f"need rates, and draws of them, not {len(results)} and {normal.shape}")
    rates = np.array([result.rate_hz for result in results])
    weights = np.array([float(result.weight) for result in results])
    shares = np.array([[result.share.estimate for result in results]])
    (held,) = _held(shares, weights, required).tolist()
    edges = np.concatenate([[0.0], rates, [np.inf]])
    drawn = _held(drawn_shares(results, normal), weights, required)
    low, high = edges[drawn], edges[drawn + 1]
    # A draw that no rate holds lies below them all, one that none misses above: nothing bounds these.
    span = np.where((drawn == 0) | (drawn == len(rates)), 0.0, high - low)
    draws = np.where(drawn == len(rates), np.inf, low + places * np.nan_to_num(span, posinf=0.0))
    inside = 0 < held < len(rates)
    crossing = _crossing(rates, non_increasing(shares[0], weights), weights, required, held) if inside else edges[held]
    if held == len(rates):
        crossing = math.inf
    return Reading(float(crossing), float(edges[held]), float(edges[held + 1]), draws)


def _held(shares: Floats, weights: Floats, required: float) -> npt.NDArray[np.int64]:
    """How many of the first rates the monotone fit has at or above the required share, a row of `shares` each.

    Those up to the last maximum of the running sum of weight * (share - required): where an isotonic fit crosses a
    level, that sum turns (Robertson, Wright & Dykstra 1988, section 1.4).
    """
    sums = np.cumsum(weights * (shares - required), axis=1)
    sums = np.concatenate([np.zeros((len(shares), 1)), sums], axis=1)
    last = sums.shape[1] - 1 - np.argmax(sums[:, ::-1], axis=1)
    return np.asarray(last, dtype=np.int64)


def _crossing(rates: Floats, fitted: Floats, weights: Floats, required: float, held: int) -> float:
    # Of n requests that all held, half a one stands for the few that would not: of few, that is no less than may miss.
    above = min(max(1 - fitted[held - 1], 0.5 / weights[held - 1]), 1 - required)
    if above >= 1 - required:
        return float(rates[held - 1])
    part = (math.log(1 - required) - math.log(above)) / (math.log(1 - fitted[held]) - math.log(above))
    return float(rates[held - 1] + min(max(part, 0.0), 1.0) * (rates[held] - rates[held - 1]))
