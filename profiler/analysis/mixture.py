"""What each kind of outcome costs, and the tax of another mix of harmless and harmful requests worked out from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from profiler.analysis.columns import Bools, Ints, ints
from profiler.analysis.metrics import Array
from profiler.analysis.stats import Interval, clustered_mean
from profiler.analysis.stats.paired import mean_difference, mean_ratio
from profiler.records.record import Outcome
from profiler.records.store import StoredTrial
from profiler.scenario import BASELINE

METRICS = ("e2el_ms", "ttft_ms", "engine_tokens")
COLUMNS = (
    "index", "label", "outcome", "finish_reason", "scheduled_ns", "first_ns", "last_ns",
    "engine_calls.list.element.output_tokens", "engine_calls.list.element.aborted",
)  # fmt: skip
"""The columns that `mixture` reads."""
HARMFUL = "harmful"
# A block is decided by how the request ended: before an answer, or within it.
_BLOCKS = {"blocked": "blocked at input", "cut": "cut in mid-stream"}
REFUSED = "refused after generation"
_ENDINGS = ("passed", *_BLOCKS.values(), REFUSED, "blocked", "redacted", "reranked", "error")
_MIN_BLOCKS = 2
_Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Cost:
    """The mean cost of `requests` requests, each over itself in the baseline; no interval from one block."""

    mean: float
    interval: Interval | None
    requests: int


@dataclass(frozen=True)
class Ending:
    """The requests of one label that ended in one way in an arm.

    `share` is of the label's requests. `costs` by metric of `METRICS`, in ms and tokens; None where no
    request of these has the metric in both arms.
    """

    label: str
    what: str
    count: int
    share: float
    costs: Mapping[str, Cost | None]


@dataclass(frozen=True)
class ArmMixture:
    """One arm. `cost` and `baseline`: means a block, shape (2, metrics, blocks), of harmless and harmful requests.

    NaN where a block has no such request.
    """

    endings: tuple[Ending, ...]
    cost: Array
    baseline: Array


@dataclass(frozen=True)
class Mixture:
    """What each kind of outcome costs, by arm. `harmful` is the run's own share of harmful requests."""

    arms: Mapping[str, ArmMixture]
    harmful: float


@dataclass(frozen=True)
class MixedTax:
    """A tax at a share of harmful requests, in the metric's unit and relative to the baseline at that share.

    Over `blocks` blocks; None with `why` where it was not measured.
    """

    baseline: float | None
    absolute: Interval | None
    relative: Interval | None
    blocks: int
    why: str = ""


Mixed = Mapping[str, MixedTax]


@dataclass(frozen=True)
class _Requests:
    """One trial: `values` has shape (metrics, requests), NaN where a request has no such figure."""

    index: Ints
    label: _Texts
    what: _Texts
    values: Array


@dataclass(frozen=True)
class _Paired:
    """One arm in one block: its requests, and each one's cost and baseline, shape (metrics, requests)."""

    requests: _Requests
    cost: Array
    baseline: Array


def mixture(trials: Iterable[StoredTrial], order: Sequence[str] = ()) -> Mixture:
    """Pair every request of an arm with the same one in the block's baselines, and average by how it ended.

    A request's cost is its figure less the mean of its figures in the baseline's replicates that have one.
    Means over requests with cluster-robust intervals by block (`clustered_mean`).

    Args:
        trials: of the steady part, in any order; only `COLUMNS` are read.
        order: arms first to last, as they should be told.
    """
    by_arm: dict[str, dict[int, list[_Requests]]] = {}
    for trial in trials:
        by_arm.setdefault(trial.info.arm, {}).setdefault(trial.info.block, []).append(_requests(trial))
    baseline = by_arm.pop(BASELINE, {})
    names = [*(arm for arm in order if arm in by_arm), *sorted(by_arm.keys() - set(order))]
    return Mixture({arm: _arm(by_arm[arm], baseline) for arm in names}, _harmful_share([baseline, *by_arm.values()]))


def at_fraction(found: Mixture, harmful: float) -> dict[str, Mixed]:
    """Every arm's tax were this share of its requests harmful, by metric.

    In each block (1 - share) * the mean cost of its harmless requests + share * that of its harmful ones:
    post-stratification (Holt & Smith 1979) with the block as the unit, t over the blocks that have the kinds
    of request that the share needs (at 0 and at 1 only one). Blocks count alike.

    Raises:
        ValueError: a share outside 0 to 1.
    """
    if not 0 <= harmful <= 1:
        raise ValueError(f"a share of harmful requests lies between 0 and 1, not {harmful}")
    return {
        arm: {metric: _mixed(mine, i, harmful) for i, metric in enumerate(METRICS)} for arm, mine in found.arms.items()
    }


def _mixed(arm: ArmMixture, metric: int, harmful: float) -> MixedTax:
    cost, baseline = (_weighted(part[:, metric], harmful) for part in (arm.cost, arm.baseline))
    known = np.isfinite(cost)
    cost, baseline = cost[known], baseline[known]
    if len(cost) < _MIN_BLOCKS:
        return MixedTax(None, None, None, len(cost), _why_not(arm.cost[:, metric], harmful, len(cost)))
    positive = bool((baseline > 0).all() and (baseline + cost > 0).all())
    return MixedTax(
        float(baseline.mean()),
        mean_difference(np.zeros(len(cost)), cost),
        mean_ratio(baseline, baseline + cost) if positive else None,
        len(cost),
    )


def _weighted(kinds: Array, harmful: float) -> Array:
    """The mix of harmless and harmful in each block; a kind of no weight need not be there."""
    weights = [(kind, weight) for kind, weight in enumerate((1 - harmful, harmful)) if weight > 0]
    mixed: Array = np.sum([weight * kinds[kind] for kind, weight in weights], axis=0, dtype=np.float64)
    return mixed


def _why_not(kinds: Array, harmful: float, blocks: int) -> str:
    present = [bool(np.isfinite(kind).any()) for kind in kinds]
    if harmful < 1 and not present[0]:
        return "no harmless request in this run"
    if harmful > 0 and not present[1]:
        return "no harmful request in this run"
    return f"{blocks} block(s) with such requests: an interval needs {_MIN_BLOCKS}"


def _requests(trial: StoredTrial) -> _Requests:
    table = trial.table
    scheduled, first, last = (ints(table, name) for name in ("scheduled_ns", "first_ns", "last_ns"))
    answered = first > 0
    latencies = [np.where(answered, (end - scheduled) / 1e6, np.nan) for end in (last, first)]
    outcome, reason = _texts(table, "outcome"), _texts(table, "finish_reason")
    what = outcome.copy()
    for ended, word in _BLOCKS.items():
        what[_is(outcome, Outcome.BLOCKED.value) & _is(reason, ended)] = word
    made, finished = engine_tokens(table)
    what[(what == _BLOCKS["blocked"]) & (finished > 0)] = REFUSED
    return _Requests(ints(table, "index"), _texts(table, "label"), what, np.array([*latencies, made], np.float64))


def _texts(table: pa.Table, name: str) -> _Texts:
    return np.array(table[name].to_numpy(), dtype=object)


def _is(texts: _Texts, value: str) -> Bools:
    return np.asarray(texts == value, dtype=np.bool_)


def engine_tokens(table: pa.Table) -> tuple[Array, Array]:
    """Tokens that the engine made for each request, all and in calls that ended; `calls_of` would read every chunk."""
    calls = np.asarray(pc.fill_null(pc.list_value_length(table["engine_calls"]), 0).to_numpy(), dtype=np.int64)
    flat = pc.list_flatten(table["engine_calls"])
    made = np.asarray(pc.struct_field(flat, "output_tokens").to_numpy(), dtype=np.float64)
    ended = ~np.asarray(pc.struct_field(flat, "aborted").to_numpy(), dtype=np.bool_)
    rows = np.repeat(np.arange(len(calls)), calls)
    total, whole = (np.bincount(rows, values, len(calls)) for values in (made, made * ended))
    return total.astype(np.float64), whole.astype(np.float64)


def _harmful_share(arms: Iterable[Mapping[int, Sequence[_Requests]]]) -> float:
    found = [one for arm in arms for trials in arm.values() for one in trials]
    total = sum(len(one.label) for one in found)
    return sum(int(_is(one.label, HARMFUL).sum()) for one in found) / total if total else 0.0


def _arm(mine: Mapping[int, Sequence[_Requests]], baseline: Mapping[int, Sequence[_Requests]]) -> ArmMixture:
    blocks = [
        [_pair(one, baseline[block]) for one in found] for block, found in sorted(mine.items()) if block in baseline
    ]
    means = [_kind_means(pairs) for pairs in blocks]
    shape = (2, len(METRICS), 0)
    cost, base = (np.stack([m[i] for m in means], axis=2) if means else np.zeros(shape) for i in (0, 1))
    return ArmMixture(tuple(_endings(blocks)), cost, base)


def _pair(mine: _Requests, baseline: Sequence[_Requests]) -> _Paired:
    """Each request's mean figures in the baselines, NaN where it has none there, and its own less these."""
    total, known = np.zeros(mine.values.shape), np.zeros(mine.values.shape)
    for base in baseline:
        _, here, there = np.intersect1d(mine.index, base.index, return_indices=True)
        figures = base.values[:, there]
        total[:, here] += np.nan_to_num(figures)
        known[:, here] += np.isfinite(figures)
    mean = np.where(known > 0, total / np.maximum(known, 1), np.nan)
    return _Paired(mine, mine.values - mean, mean)


def _kind_means(pairs: Sequence[_Paired]) -> tuple[Array, Array]:
    """Mean cost and baseline of a block's harmless and harmful requests that have both, shape (2, metrics)."""
    cost, baseline = (np.full((2, len(METRICS)), np.nan) for _ in range(2))
    for kind in (0, 1):
        for metric in range(len(METRICS)):
            costs, bases = (
                np.concatenate([getattr(p, part)[metric, _of_kind(p, kind, metric)] for p in pairs])
                for part in ("cost", "baseline")
            )
            if len(costs):
                cost[kind, metric], baseline[kind, metric] = costs.mean(), bases.mean()
    return cost, baseline


def _of_kind(pair: _Paired, kind: int, metric: int) -> Bools:
    harmful = _is(pair.requests.label, HARMFUL)
    known: Bools = np.isfinite(pair.cost[metric]) & (harmful if kind else ~harmful)
    return known


def _endings(blocks: Sequence[Sequence[_Paired]]) -> Iterator[Ending]:
    """Every way to end that occurs, harmful requests last."""
    pairs = [pair for block in blocks for pair in block]
    labels = sorted({str(label) for pair in pairs for label in pair.requests.label}, key=lambda x: (x == HARMFUL, x))
    for label in labels:
        total = sum(int(_is(pair.requests.label, label).sum()) for pair in pairs)
        for what in _ENDINGS:
            count = sum(int(_ended(pair, label, what).sum()) for pair in pairs)
            if count:
                costs = {metric: _cost(blocks, label, what, i) for i, metric in enumerate(METRICS)}
                yield Ending(label, what, count, count / total, costs)


def _ended(pair: _Paired, label: str, what: str) -> Bools:
    return _is(pair.requests.label, label) & _is(pair.requests.what, what)


def _cost(blocks: Sequence[Sequence[_Paired]], label: str, what: str, metric: int) -> Cost | None:
    by_block = [np.concatenate([pair.cost[metric, _ended(pair, label, what)] for pair in block]) for block in blocks]
    by_block = [known for costs in by_block if len(known := costs[np.isfinite(costs)])]
    if not by_block:
        return None
    costs = np.concatenate(by_block)
    interval = clustered_mean(by_block) if len(by_block) >= _MIN_BLOCKS else None
    return Cost(float(costs.mean()), interval, len(costs))
