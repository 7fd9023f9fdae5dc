"""What guards' memory takes from the generator's KV cache: blocks, tokens, and the requests that fit no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import pyarrow.compute as pc

from profiler.analysis.columns import flat
from profiler.analysis.kv_pool import Footprint, Pool, displaced, footprint_of, pool_of
from profiler.analysis.metrics import TrialMetrics
from profiler.meters.not_measured import NotMeasured
from profiler.records.store import StoredTrial

ALL_GUARDS = "all guards"


@dataclass(frozen=True)
class Lengths:
    """Tokens of prompts and answers together, over so many calls of the engine."""

    tokens: int = 0
    calls: int = 0


@dataclass(frozen=True)
class Displacement:
    """One arm's, or all guards' together. `share` is of the pool, `requests_lost` at the run's own mean length.

    Of a dedicated run: the blocks that were to be left, those that the engine then had, and their relative
    difference; None in a shared one, or where the scenario states the blocks itself.
    """

    footprint_mib: float
    how: str
    blocks: int
    tokens: int
    share: float
    requests_lost: float | None
    predicted_blocks: int | None = None
    found_blocks: int | None = None
    kv_prediction_error: float | None = None


@dataclass(frozen=True)
class KvDisplacement:
    """A run's. `request_tokens`: mean of prompt and answer; `requests`: how many of these fit in the whole pool.

    `arms` by name; of a shared run only `ALL_GUARDS`, computed: no arm went without them.
    """

    isolation: str
    pool: Pool
    request_tokens: float | None
    requests: float | None
    arms: Mapping[str, Displacement]


def lengths_of(trial: StoredTrial) -> Lengths:
    """Of the calls that ran to their end; runs from before prompt lengths have none."""
    _, calls = flat(trial.table["engine_calls"])
    if calls.type.get_field_index("prompt_tokens") < 0:
        return Lengths()
    prompt, output = (pc.fill_null(calls.field(name), 0) for name in ("prompt_tokens", "output_tokens"))
    whole = pc.and_(pc.invert(calls.field("aborted")), pc.greater(prompt, 0))
    counts = pc.sum(pc.filter(pc.add(prompt, output), whole)).as_py() or 0
    return Lengths(int(counts), int(pc.sum(whole).as_py() or 0))


def displacement_of(
    manifest: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    trials: Sequence[TrialMetrics],
    lengths: Sequence[Lengths],
) -> KvDisplacement | NotMeasured:
    """From the manifest, what a dedicated run noted of its arms, the trials, and the baseline's lengths."""
    pool = pool_of(manifest.get("facts", {}))
    if isinstance(pool, NotMeasured):
        return pool
    calls = sum(one.calls for one in lengths)
    mean = sum(one.tokens for one in lengths) / calls if calls else None
    fit = None if mean is None else pool.tokens / mean
    if manifest.get("scenario", {}).get("isolation") == "dedicated":
        arms = {str(part["arm"]): _of_part(pool, part, mean) for part in parts}
        return KvDisplacement("dedicated", pool, mean, fit, arms)
    found = _shared(pool, trials)
    if isinstance(found, NotMeasured):
        return found
    return KvDisplacement("shared", pool, mean, fit, {ALL_GUARDS: _displacement(pool, found, mean)})


def _shared(pool: Pool, trials: Sequence[TrialMetrics]) -> Footprint | NotMeasured:
    """The guards are there in every trial, whatever its arm: the median over all."""
    found = [footprint_of(trial.resources, pool) for trial in trials if trial.resources is not None]
    held = [one for one in found if isinstance(one, Footprint)]
    if not held:
        return next((one for one in found if isinstance(one, NotMeasured)), NotMeasured("no samples of memory"))
    return Footprint(median(one.mib for one in held), held[0].how)


def _of_part(pool: Pool, part: Mapping[str, Any], mean: float | None) -> Displacement:
    predicted, left = part["predicted_blocks"], pool_of(part["facts"])
    found = left.blocks if isinstance(left, Pool) else None
    error = abs(found / predicted - 1) if found is not None and predicted else None
    return _displacement(pool, Footprint(part["footprint_mib"], part["how"]), mean, predicted, found, error)


def _displacement(
    pool: Pool,
    held: Footprint,
    mean: float | None,
    predicted: int | None = None,
    found: int | None = None,
    error: float | None = None,
) -> Displacement:
    taken = displaced(pool, held.mib)
    lost = None if mean is None else taken.tokens / mean
    return Displacement(held.mib, held.how, taken.blocks, taken.tokens, taken.share, lost, predicted, found, error)
