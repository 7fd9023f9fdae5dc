"""The ledger of an arm: where its tax on one latency comes from."""

from dataclasses import dataclass

from profiler.analysis.stats.interval import Interval


@dataclass(frozen=True)
class Ledger:
    """direct + induced + waste + saved + residual = measured, all means per request in ms with 95 % intervals.

    `metric` is "ttft_ms" or "e2el_ms". `measured` is the paired difference by block. `direct` is what spans
    saw on the requests' own critical path, by stage in `stages_ms`. `induced`: slower generation, by
    contention with the guard's work and by other batches. `waste`: the engine's work on tokens that nobody
    got. `saved` (not above 0): work that early blocks spared the engine. `by_difference`: the guard
    recorded no work of its own, so `induced` holds whatever the others do not explain and the residual is 0.
    `contention` is ms of engine delay per ms of the guard's work, None where there was none.
    """

    arm: str
    metric: str
    baseline_ms: float
    measured: Interval
    direct: Interval
    induced: Interval
    waste: Interval
    saved: Interval
    residual: Interval
    stages_ms: dict[str, float]
    contention: Interval | None
    by_difference: bool


@dataclass(frozen=True)
class Waste:
    """What an arm generated for nobody, and what it did not generate, over all its trials.

    `engine_s` is the engine's time for the wasted tokens; `energy_j` is None where there is no meter.
    `saved_tokens` were generated for the same requests in the baseline and spared here.
    """

    tokens: int
    generated_tokens: int
    engine_s: float | None
    energy_j: float | None
    saved_tokens: int
