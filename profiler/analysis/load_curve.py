"""A quantile of latency against the rate: three candidates of a curve, and which predicts a rate that it has not seen.

    batch    a / (1 - r)             a step's time grows in proportion to the sequences in it: with Little's law the
                                     time of a request at rate x is a / (1 - x / limit), r = x / limit
    queue    a + b r^c / (1 - r)     service, and the wait of a queue for servers: Sakasegawa 1977, Allen-Cunneen
                                     (Allen 1990, section 5.3.4); c is small for one server and grows with their number
    shape    no formula              a monotone piecewise cubic through log latency: Fritsch & Carlson 1980

The candidate is chosen by leave-one-out (Stone 1974): each rate is predicted from all others. Which is best differs
by machine: on the modelled engine all three are; see `benchmarks/plan.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Curve = Callable[[float], float | None]
FEWEST_RATES = 5
"""A check needs so many rates: the richest candidate has four parameters."""
# Limits tried, as what is left of them at the highest rate seen, and servers' exponents.
_SPARE = np.geomspace(0.003, 8.0, 80)
_EXPONENTS = (1.0, 2.0, 4.0, 8.0, 16.0)
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
    return _least_squares(x, y, lambda load: [1 / (1 - load)], (1.0,))


def _queue(x: Floats, y: Floats) -> Curve:
    return _least_squares(x, y, lambda load, c=1.0: [np.ones_like(load), load**c / (1 - load)], _EXPONENTS)


def _least_squares(x: Floats, y: Floats, terms: Callable[..., list[Floats]], exponents: Sequence[float]) -> Curve:
    """The best limit and exponent of a grid, with the best non-negative weights of their terms; errors are relative."""
    best = (math.inf, 0.0, 1.0, np.zeros(1))
    for limit in (x[-1] * (1 + _SPARE)).tolist():
        for exponent in exponents:
            columns = np.stack(terms(x / limit, *([exponent] if len(exponents) > 1 else [])))
            weights = _non_negative(columns / y)
            said = weights @ columns
            loss = float(np.square(np.log(np.maximum(said, _TOLERANCE) / y)).sum())
            if loss < best[0]:
                best = (loss, limit, exponent, weights)
    _, limit, exponent, weights = best

    def predict(rate: float) -> float | None:
        if rate >= limit:
            return None
        load = np.array([rate / limit])
        columns = np.stack(terms(load, *([exponent] if len(exponents) > 1 else [])))
        return float((weights @ columns)[0])

    return predict


def _non_negative(columns: Floats) -> Floats:
    """Weights of one or two rows, none below 0, whose sum is nearest to 1 everywhere."""
    alone = [np.maximum(row.sum() / (row @ row), 0.0) for row in columns]
    found = [np.eye(len(columns))[i] * weight for i, weight in enumerate(alone)]
    if len(columns) == 2:
        both, *_ = np.linalg.lstsq(columns.T, np.ones(columns.shape[1]), rcond=None)
        if (both >= 0).all():
            found.append(both)
    return min(found, key=lambda w: float(np.square(w @ columns - 1).sum()))


def _shape(x: Floats, y: Floats) -> Curve:
    logs, slopes = np.log(y), _slopes(x, np.log(y))

    def predict(rate: float) -> float | None:
        if not x[0] <= rate <= x[-1]:
            return None
        at = min(int(np.searchsorted(x, rate, side="right")) - 1, len(x) - 2)
        step = x[at + 1] - x[at]
        t = (rate - x[at]) / step
        low, high = (1 + 2 * t) * (1 - t) ** 2 * logs[at], t**2 * (3 - 2 * t) * logs[at + 1]
        bend = t * (1 - t) ** 2 * step * slopes[at] - t**2 * (1 - t) * step * slopes[at + 1]
        return math.exp(low + high + bend)

    return predict


def _slopes(x: Floats, y: Floats) -> Floats:
    """At each point the weighted harmonic mean of its chords, 0 where these differ in sign (Fritsch & Butland 1984)."""
    step, chord = np.diff(x), np.diff(y) / np.diff(x)
    slopes = np.zeros(len(x))
    slopes[0], slopes[-1] = chord[0], chord[-1]
    for i in range(1, len(x) - 1):
        before, after = chord[i - 1], chord[i]
        if before * after > 0:
            w1, w2 = 2 * step[i] + step[i - 1], step[i] + 2 * step[i - 1]
            slopes[i] = (w1 + w2) / (w1 / before + w2 / after)
    return slopes


CANDIDATES: dict[str, Callable[[Floats, Floats], Curve]] = {"batch": _batch, "queue": _queue, "shape": _shape}
