"""Where the level of a series of runs has changed, each run known to within its own standard error."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profiler.analysis.stats.distributions import normal_quantile
from profiler.analysis.stats.interval import Interval

Array = npt.NDArray[np.float64]
LEAST_RUNS = 10
"""With fewer no change is looked for: there are too few ways to order them for any to be so unlikely."""
LEAST_SEGMENT = 3
ALPHA = 0.01
_DRAWS = 999
# Of runs that agree to the last digit: a billionth, of logarithms.
_LEAST_VARIANCE = 1e-18
# Median of chi-square with one degree of freedom: what a squared standard normal is above half of the time.
_MEDIAN_CHI2 = 0.454936


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The level changes with the run at `index`. `change` is the new level less the old, with its standard error."""

    index: int
    change: float
    standard_error: float
    p_value: float

    def relative_interval(self, confidence: float = 0.95) -> Interval:
        """The change where the series is of logarithms: 0.05 is +5 %. By the normal distribution."""
        reach = normal_quantile((1 + confidence) / 2) * self.standard_error
        ends = (self.change, self.change - reach, self.change + reach)
        centre, low, high = (math.expm1(min(end, 700.0)) for end in ends)
        return Interval(centre, low, high, confidence)


@dataclass(frozen=True, slots=True)
class _Split:
    index: int
    p_value: float


def change_points(
    estimates: npt.ArrayLike, standard_errors: npt.ArrayLike, *, alpha: float = ALPHA, seed: int = 1974
) -> tuple[ChangePoint, ...]:
    """The changes of level, in the order of the runs; none in fewer than `LEAST_RUNS`.

    Binary segmentation (Scott & Knott 1974; Vostrikova 1981) of x_i = level + b_i + e_i: e_i has the run's own
    standard error, b_i is how much runs of one level differ beyond it (another day, another heap; the random effect of
    DerSimonian & Laird 1986). Its variance is estimated from the median of the squared successive differences, which a
    few jumps do not move (Rice 1984). A segment is split where the likelihood ratio of a change in the mean is greatest
    (Sen & Srivastava 1975), both parts with three runs or more, so that one odd run is no change. The greatest ratio is
    judged by permutation, as E-divisive's is (Matteson & James 2014; Daly et al. 2020 at MongoDB): runs are shuffled
    together with their standard errors, which is exact for runs of one level in whatever order, even where the standard
    errors are themselves guesses. A series of one level gives a false alarm with probability `alpha`.

    Args:
        estimates: shape (n,), in the order of time; logarithms where machines drift in ratios.
        standard_errors: shape (n,), the same unit.
        alpha: level of the test of one segment.
        seed: of the shuffles; the same series gives the same answer.

    Raises:
        ValueError: shapes differ, a value is not finite, or a standard error is negative.
    """
    x, variance = np.asarray(estimates, np.float64), np.asarray(standard_errors, np.float64) ** 2
    if x.ndim != 1 or x.shape != variance.shape:
        raise ValueError(f"need one standard error a run: shapes {x.shape} and {variance.shape}")
    if not (np.isfinite(x).all() and np.isfinite(variance).all()) or (np.asarray(standard_errors) < 0).any():
        raise ValueError("estimates and standard errors must be finite, the latter not negative")
    if len(x) < LEAST_RUNS:
        return ()
    found = sorted(_splits(x, variance, 0, len(x), alpha, seed), key=lambda split: split.index)
    edges = [0, *(split.index for split in found), len(x)]
    parts = zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
    return tuple(_change(x, variance, part, split) for part, split in zip(parts, found, strict=True))


def _splits(x: Array, variance: Array, begin: int, end: int, alpha: float, seed: int) -> list[_Split]:
    """The splits of [begin, end)."""
    if end - begin < 2 * LEAST_SEGMENT:
        return []
    mine, known = x[begin:end], variance[begin:end]
    ratios = _ratios(mine[None], known[None])[0]
    at = int(np.argmax(ratios))
    rng = np.random.default_rng([seed, begin, end])
    order = rng.permuted(np.tile(np.arange(len(mine)), (_DRAWS, 1)), axis=1)
    # Shuffles that only swap runs inside the parts give the same ratio but for rounding.
    as_great = (_ratios(mine[order], known[order]).max(axis=1) >= ratios[at] * (1 - 1e-9)).sum()
    p_value = float(1 + as_great) / (_DRAWS + 1)
    # A series that does not move at all has no change, whatever the rounding says.
    if p_value > alpha or ratios[at] <= 0:
        return []
    index = begin + LEAST_SEGMENT + at
    left, right = ((begin, index), (index, end))
    return [
        _Split(index, p_value),
        *_splits(x, variance, *left, alpha, seed),
        *_splits(x, variance, *right, alpha, seed),
    ]


def _between(x: Array, variance: Array) -> Array:
    """Variance between runs of one level beyond their own, shape (series,); both arguments are (series, n)."""
    squares = np.median(np.diff(x, axis=1) ** 2, axis=1) / _MEDIAN_CHI2
    own = np.median(variance[:, 1:] + variance[:, :-1], axis=1)
    found: Array = np.maximum(0.0, (squares - own) / 2)
    return found


def _ratios(x: Array, variance: Array) -> Array:
    """Twice the log likelihood ratio of a change before each place, shape (series, places)."""
    total = variance + _between(x, variance)[:, None]
    weight = 1 / np.maximum(total, _LEAST_VARIANCE)
    weights, sums = np.cumsum(weight, axis=1), np.cumsum(weight * x, axis=1)
    cut = slice(LEAST_SEGMENT - 1, x.shape[1] - LEAST_SEGMENT)
    before, after = weights[:, cut], weights[:, -1:] - weights[:, cut]
    gap = sums[:, cut] / before - (sums[:, -1:] - sums[:, cut]) / after
    found: Array = gap**2 * before * after / weights[:, -1:]
    return found


def _change(x: Array, variance: Array, part: tuple[int, int, int], split: _Split) -> ChangePoint:
    begin, at, end = part
    levels, errors = [], []
    for first, last in ((begin, at), (at, end)):
        mine, known = x[first:last], variance[first:last]
        weight = 1 / np.maximum(known + _between(mine[None], known[None])[0], _LEAST_VARIANCE)
        levels.append(float(np.average(mine, weights=weight)))
        errors.append(1 / float(weight.sum()))
    return ChangePoint(at, levels[1] - levels[0], float(np.sqrt(sum(errors))), split.p_value)
