"""Objectives on percentiles, `ttft_p99=500ms`: the share of requests within the limit, and the percentile itself.

"The p99 of TTFT is at most 500 ms" says that at least 99 % of requests have a TTFT of at most 500 ms: a share, with
a share's interval, where a p99 of few requests would have none.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from profiler.analysis.columns import Bools
from profiler.analysis.metrics import Array
from profiler.analysis.stats import Interval, autocorrelation_time, effective_proportion, quantile, quantile_interval

_METRICS = ("ttft", "tpot", "e2el")
_NAME = re.compile(r"([a-z0-9]+)_p(\d{1,2}(?:\.\d{1,2})?)")
_LIMIT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*(ms|s)")
# The highest percentile of a probe above which there are bursts enough to tell their length.
_MANY = 0.9
_TAIL = 0.025
_EXAMPLE = "ttft_p99=500ms,tpot_p99=50ms"


@dataclass(frozen=True)
class Objective:
    """`share` of the requests (0.99 of a p99) have at most `limit_ms` of `metric` ("ttft_ms")."""

    metric: str
    share: float
    limit_ms: float

    @property
    def name(self) -> str:
        """As it is asked for: `ttft_p99`."""
        return f"{self.metric.removesuffix('_ms')}_p{100 * self.share:g}"

    @property
    def words(self) -> str:
        """As it is read: `TTFT p99`."""
        metric, _, percentile = self.name.partition("_")
        return f"{metric.upper()} {percentile}"

    def met(self, values: Array) -> Bools:
        """Which requests are within the limit; one that failed, +inf, is not."""
        return np.asarray(values <= self.limit_ms, dtype=np.bool_)


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Objectives from the command line, `ttft_p99=500ms,tpot_p99=50ms`.

    Raises:
        ValueError: what is wrong, and the cure.
    """
    found = [_objective(part.strip()) for part in text.split(",") if part.strip()]
    if not found:
        raise ValueError(f"no objective: write {_EXAMPLE}")
    for i, one in enumerate(found):
        if one.name in [other.name for other in found[:i]]:
            raise ValueError(f"{one.name} is given twice: leave one out")
    return tuple(found)


def _objective(text: str) -> Objective:
    name, equals, limit = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError(f"{text!r} is no objective: write {_EXAMPLE}")
    matched = _NAME.fullmatch(name)
    if matched is None or matched[1] not in _METRICS:
        near = get_close_matches(name, [f"{metric}_p99" for metric in _METRICS], n=1)
        cure = f"did you mean `{near[0]}`?" if near else "there are ttft, tpot and e2el with any percentile: ttft_p99"
        raise ValueError(f"no metric {name!r}: {cure}")
    share = round(float(matched[2]) / 100, 6)
    if not 0 < share < 1:
        raise ValueError(f"{name}: a percentile lies between 0 and 100, neither of them: write {matched[1]}_p99")
    if _LIMIT.fullmatch(f"{limit}ms"):
        raise ValueError(f"{name}: {limit} has no unit: write {name}={limit}ms or {name}={limit}s")
    bound = _LIMIT.fullmatch(limit)
    if bound is None or float(bound[1]) <= 0:
        raise ValueError(f"{name}: {limit!r} is no time above 0: write {name}=500ms or {name}=2s")
    return Objective(f"{matched[1]}_ms", share, float(bound[1]) * (1000 if bound[2] == "s" else 1))


def share_within(probes: Sequence[Array], objective: Objective) -> Interval:
    """The share of requests within the limit over one or more probes at one rate, with its interval.

    Requests near in time share a queue: they miss together, in a few bursts or, in a short probe, in none, and then
    nothing in the misses tells how long a burst would have been. So the requests above the percentile of the probe
    itself (at most its p90, which has bursts enough) say how many requests are worth one independent request
    (`autocorrelation_time`), or the misses do if they come in longer bursts; the interval is Clopper & Pearson's over
    so many (`effective_proportion`).

    Args:
        probes: one array of shape (requests,) a probe, in the order of arrival; +inf for a request that failed.
        objective: what is to be met.

    Raises:
        ValueError: no request at all.
    """
    share = float(objective.met(np.concatenate(probes)).mean())
    return effective_proportion(share, worth(probes, objective))


def worth(probes: Sequence[Array], objective: Objective) -> float:
    """How many independent requests those of `share_within` are worth.

    Raises:
        ValueError: no request at all.
    """
    return sum(map(len, probes)) / _bursts(probes, objective.share, objective.limit_ms)


def percentile(probes: Sequence[Array], q: float) -> Interval:
    """The q-quantile over one or more probes at one rate, with its interval by order statistics.

    Woodruff's (1952): the share of requests at or below the quantile is q to within an interval, that of
    `share_within`, and the quantiles at its two ends are the ends; unbounded where so few requests have none there.

    Args:
        probes: one array of shape (requests,) a probe, in the order of arrival; +inf for a request that failed.
        q: strictly between 0 and 1.

    Raises:
        ValueError: no request at all, or q of 0 or 1.
    """
    values = np.concatenate(probes)
    estimate = quantile(values, q)
    if not math.isfinite(estimate):
        return Interval(math.inf, -math.inf, math.inf, 0.95)
    independent = len(values) / _bursts(probes, q, estimate)
    exact = quantile_interval(values, q)
    share = effective_proportion(q, independent)
    # Where all of so many could lie on one side of the quantile, nothing bounds it there.
    unbounded = [end**independent > _TAIL for end in (1 - q, q)]
    ordered = np.sort(values)
    low = -math.inf if unbounded[0] else float(ordered[math.floor(share.low * len(values))])
    high = math.inf if unbounded[1] else float(ordered[min(math.ceil(share.high * len(values)), len(values)) - 1])
    return Interval(estimate, min(exact.low, low, estimate), max(exact.high, high, estimate), 0.95)


def _bursts(probes: Sequence[Array], share: float, limit_ms: float) -> float:
    """How many requests are worth one independent one, by those above the percentile and those above the limit."""
    own = float(np.quantile(np.concatenate(probes), min(share, _MANY), method="lower"))
    return max(autocorrelation_time([each > level for each in probes]) for level in (own, limit_ms))
