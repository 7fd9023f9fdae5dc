"""The power of one replica at a rate, between the rates at which it was measured."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profiler.analysis.resources import TrialResources

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Power:
    """What one probe drew: watts by all that was metered, their relative bounds, and of what ("gpu+cpu").

    `rate_hz` is the requests/s of the metered window, not the rate asked for: the window includes fill and drain.
    `low` and `high` are the shares by which the counters' steps may put the watts off.
    """

    rate_hz: float
    watts: float
    low: float
    high: float
    of: str


def power_of(rate_hz: float, found: TrialResources | None) -> Power | None:
    """Mean power over a window, GPUs and CPU together; None where nothing measured it."""
    if found is None:
        return None
    parts = {"gpu": found.gpu_energy, "cpu": found.cpu_energy}
    known = {name: part for name, part in parts.items() if part is not None}
    every = [one for part in known.values() for one in part]
    joules, watts = sum(one.joules for one in every), sum(one.average_w for one in every)
    if not every or joules <= 0:
        return None
    low, high = sum(one.low for one in every) / joules, sum(one.high for one in every) / joules
    return Power(rate_hz, watts, low, high, "+".join(known))


def power_curve(found: Iterable[Power]) -> tuple[Floats, Floats]:
    """Rates, rising, and the mean watts at each."""
    by_rate: dict[float, list[float]] = {}
    for one in found:
        by_rate.setdefault(one.rate_hz, []).append(one.watts)
    rates = np.array(sorted(by_rate))
    return rates, np.array([float(np.mean(by_rate[rate])) for rate in rates.tolist()])


def watts_at(rates: Floats, watts: Floats, rate_hz: npt.ArrayLike) -> Floats:
    """Straight between measured rates; NaN outside them: nothing is extrapolated."""
    if not len(rates):
        return np.full(np.shape(rate_hz), np.nan)
    at = np.asarray(rate_hz, dtype=np.float64)
    return np.asarray(np.interp(at, rates, watts, left=np.nan, right=np.nan), dtype=np.float64)
