"""Tax by metric: every arm's relative tax with its interval, and how far the baseline differs from itself."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from profiler.analysis.comparison import Tax
from profiler.analysis.stats import Interval, noise_floor
from profiler.analysis.tax import RunResult

METRICS = (
    "ttft_ms.mean", "ttft_ms.p50", "ttft_ms.p99", "tpot_ms.mean", "e2el_ms.mean", "e2el_ms.p50", "e2el_ms.p99",
    "output_tokens_per_s.mean", "cpu_s", "energy_j_per_token", "cpu_energy_j_per_token",
)  # fmt: skip
"""The metrics that are drawn, where a run has them."""


@dataclass(frozen=True)
class ForestRow:
    """One arm's tax on one metric, relative to the baseline (0.1: a tenth more)."""

    arm: str
    relative: Interval
    tax: Tax


@dataclass(frozen=True)
class ForestPanel:
    """One metric. `floor`: relative differences between these two are the A/A's own; None without one."""

    metric: str
    rows: tuple[ForestRow, ...]
    floor: tuple[float, float] | None


def forest(result: RunResult) -> tuple[ForestPanel, ...]:
    """A panel a metric that some arm has on the relative scale."""
    arms = {name: arm.tax for name, arm in result.arms.items() if arm.tax}
    panels = [ForestPanel(m, _rows(arms, m), _floor(result.noise_floor.get(m))) for m in METRICS]
    return tuple(panel for panel in panels if panel.rows)


def _rows(arms: Mapping[str, Mapping[str, Tax]], metric: str) -> tuple[ForestRow, ...]:
    found = [(arm, taxes[metric], _relative(taxes[metric])) for arm, taxes in arms.items() if metric in taxes]
    return tuple(ForestRow(arm, relative, tax) for arm, tax, relative in found if relative is not None)


def _relative(tax: Tax) -> Interval | None:
    if tax.relative is None or tax.relative_ci95 is None:
        return None
    return Interval(tax.relative, *tax.relative_ci95, 0.95)


def _floor(aa: Tax | None) -> tuple[float, float] | None:
    """What a claim must beat, on the logarithm as the verdict has it, and so unlike in both directions."""
    found = None if aa is None else _relative(aa)
    if found is None or not all(math.isfinite(end) and end > -1 for end in (found.low, found.high)):
        return None
    log = noise_floor(Interval(math.log1p(found.estimate), math.log1p(found.low), math.log1p(found.high), 0.95))
    return math.expm1(-log), math.expm1(log)
