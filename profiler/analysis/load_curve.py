"""A quantile of latency against the rate: three candidates of a curve, and which predicts a rate that it has not seen.

    batch    a / (1 - r)             a step's time grows in proportion to the sequences in it: with Little's law the
                                     time of a request at rate x is a / (1 - x / limit), r = x / limit
    queue    a + b r^c / (1 - r)     service, and the wait of a queue for servers: Sakasegawa 1977, Allen-Cunneen
                                     (Allen 1990, section 5.3.4); c is small for one server and grows with their number
    shape    no formula              a monotone piecewise cubic through log latency: Fritsch & Butland 1984

The candidate is chosen by leave-one-out (Stone 1974): each rate is predicted from all others. On the modelled engine
that is batch for E2EL, and queue or shape for TTFT: `benchmarks/plan.py`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Curve = Callable[[float], float | None]
FEWEST_RATES = 5
"""A check needs so many rates: the richest candidate has four parameters."""
# Limits tried, as what is left of them at the highest rate seen, and servers' exponents.
_SPARE = np.geomspace(0.003, 8.0, 80)
_EXPONENTS = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Fitted:
    """A curve over all rates. `left_out[i]` is what it says of rate i when it has not seen it; None where it cannot.

    `error` is the median of |ln(predicted / measured)| over the inner rates.
    """

    name: str
    predict: Curve
    left_out: tuple[float | None, ...]
    error: float


def best_curve(rates: npt.ArrayLike, latency: npt.ArrayLike) -> Fitted | None:
    """The candidate that predicts inner rates best when they are left out; None below `FEWEST_RATES` rates.

    Args:
        rates: shape (n,), rising, requests/s.
        latency: shape (n,), positive, any unit.

    Raises:
        ValueError: shapes differ, rates do not rise, or a latency is not positive and finite.
    """
    x, y = np.asarray(rates, dtype=np.float64), np.asarray(latency, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or (np.diff(x) <= 0).any() or not (np.isfinite(y) & (y > 0)).all():
        raise ValueError("need rising rates and as many positive latencies")
    if len(x) < FEWEST_RATES:
        return None
    return min((_fitted(name, fit, x, y) for name, fit in CANDIDATES.items()), key=lambda one: one.error)


def _fitted(name: str, fit: Callable[[Floats, Floats], Curve], x: Floats, y: Floats) -> Fitted:
    others = [np.arange(len(x)) != i for i in range(len(x))]
    left_out = tuple(fit(x[keep], y[keep])(float(x[i])) for i, keep in enumerate(others))
    inner = [abs(math.log(said / y[i])) for i, said in enumerate(left_out) if said is not None and 0 < i < len(x) - 1]
    return Fitted(name, fit(x, y), left_out, float(np.median(inner)))


def _batch(x: Floats, y: Floats) -> Curve:
    return _least_squares(x, y, np.zeros(1), constant=False)


def _queue(x: Floats, y: Floats) -> Curve:
    return _least_squares(x, y, _EXPONENTS, constant=True)


def _least_squares(x: Floats, y: Floats, exponents: Floats, *, constant: bool) -> Curve:
    """The best limit and exponent of a grid, with the best non-negative weights of their terms; errors are relative."""
    limits, powers = (part.ravel() for part in np.meshgrid(x[-1] * (1 + _SPARE), exponents))
    load = x / limits[:, None]
    wait = load ** powers[:, None] / (1 - load)
    least = (math.inf, 0, 0.0, 0.0)
    for a, b in _weights(np.broadcast_to(1 / y, wait.shape), wait / y, constant=constant):
        said = np.maximum(a[:, None] + b[:, None] * wait, _TOLERANCE * y)
        losses = np.square(np.log(said / y)).sum(axis=1)
        at = int(losses.argmin())
        least = min(least, (float(losses[at]), at, float(a[at]), float(b[at])))
    _, at, service, weight = least
    limit, power = float(limits[at]), float(powers[at])

    def predict(rate: float) -> float | None:
        part = rate / limit
        return None if part >= 1 else service + weight * part**power / (1 - part)

    return predict


def _weights(one: Floats, two: Floats, *, constant: bool) -> Iterator[tuple[Floats, Floats]]:
    """Pairs of weights, none below 0, whose sums are nearest to 1: of either term alone, and of both.

    `one` and `two`, shape (grid, rates): the terms over the latency.
    """
    zero = np.zeros(len(two))
    aa, bb, ab = (one * one).sum(axis=1), (two * two).sum(axis=1), (one * two).sum(axis=1)
    sa, sb = one.sum(axis=1), two.sum(axis=1)
    yield zero, sb / bb
    if constant:
        yield sa / aa, zero
        determinant = np.maximum(aa * bb - ab * ab, np.finfo(np.float64).tiny)
        a, b = (sa * bb - sb * ab) / determinant, (sb * aa - sa * ab) / determinant
        good = (a >= 0) & (b >= 0)
        yield np.where(good, a, 0.0), np.where(good, b, sb / bb)


def _shape(x: Floats, y: Floats) -> Curve:
    from scipy.interpolate import PchipInterpolator

    through = PchipInterpolator(x, np.log(y), extrapolate=False)

    def predict(rate: float) -> float | None:
        found = float(through(rate))
        return None if math.isnan(found) else math.exp(found)

    return predict


CANDIDATES: dict[str, Callable[[Floats, Floats], Curve]] = {"batch": _batch, "queue": _queue, "shape": _shape}
