"""The tax of every arm at every share of harmful requests, worked out from what each kind of request costs."""

from dataclasses import dataclass

import numpy as np

from profiler.analysis.mixture import MixedTax, at_fraction
from profiler.analysis.run_mixture import run_mixture
from profiler.analysis.tax import RunResult

_GRID = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class FractionPoint:
    """One arm's tax on mean E2EL, were this share of its requests harmful."""

    arm: str
    harmful: float
    tax: MixedTax


@dataclass(frozen=True)
class Fractions:
    """`points` by arm with rising shares, also where nothing was measured; `harmful` is the run's own share."""

    points: tuple[FractionPoint, ...]
    harmful: float


def fractions(result: RunResult, asked: float | None) -> Fractions:
    """At 0, 5, ... 100 %, at the run's own share, and at the one that was asked for."""
    found = run_mixture(result)
    shares = sorted({round(float(share), 6) for share in (*_GRID, found.harmful, *([] if asked is None else [asked]))})
    mixed = {share: at_fraction(found, share) for share in shares}
    return Fractions(
        tuple(FractionPoint(arm, share, mixed[share][arm]["e2el_ms"]) for arm in found.arms for share in shares),
        found.harmful,
    )
