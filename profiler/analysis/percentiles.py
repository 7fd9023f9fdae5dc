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
from profiler.analysis.goodput import good_share
from profiler.analysis.metrics import Array
from profiler.analysis.stats import Interval, quantile, quantile_interval

_METRICS = ("ttft", "tpot", "e2el")
_NAME = re.compile(r"([a-z0-9]+)_p(\d{1,2}(?:\.\d{1,2})?)")
_LIMIT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*(ms|s)")
_BATCH, _FEWEST, _MOST = 100, 5, 20
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
    share = float(matched[2]) / 100
    if not 0 < share < 1:
        raise ValueError(f"{name}: a percentile lies between 0 and 100, neither of them: write {matched[1]}_p99")
    bound = _LIMIT.fullmatch(limit)
    if bound is None or float(bound[1]) <= 0:
        raise ValueError(f"{name}: {limit!r} is no time above 0: write {name}=500ms or {name}=2s")
    return Objective(f"{matched[1]}_ms", share, float(bound[1]) * (1000 if bound[2] == "s" else 1))


def share_met(met: Sequence[Bools]) -> Interval:
    """The share over one or more probes, (requests,) each in the order of arrival, as `good_share` with more batches.

    Batches of a hundred requests and more, 5 to 20 a probe: long beside a burst of misses, and enough of them that a
    share near 1 still has an upper end.
    """
    known = [each for each in met if len(each)]
    fewest = min((len(each) for each in known), default=0)
    return good_share(known, batches=min(max(fewest // _BATCH, _FEWEST), _MOST))


def percentile(probes: Sequence[Array], q: float) -> Interval:
    """The q-quantile over one or more probes at one rate, with the wider, on either side, of two intervals.

    That of order statistics (`quantile_interval`), which takes requests for independent, and Woodruff's (1952): the
    share of requests at or below the estimate has an interval, by batches of consecutive requests here (`share_met`),
    and the quantiles at its two ends are the quantile's. Requests near in time share a queue.

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
    exact = quantile_interval(values, q)
    share = share_met([np.asarray(each <= estimate, dtype=np.bool_) for each in probes])
    # Distances of the share's ends from its own estimate, laid off from q: the estimate lies between two requests.
    low = q - (share.estimate - share.low)
    high = q + (share.high - share.estimate)
    ordered = np.sort(values)
    ends = [
        float(ordered[math.floor(low * len(values))]) if low > 0 else -math.inf,
        float(ordered[math.ceil(high * len(values)) - 1]) if high < 1 else math.inf,
    ]
    return Interval(estimate, min(exact.low, ends[0], estimate), max(exact.high, ends[1], estimate), 0.95)
