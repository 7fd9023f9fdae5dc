"""A probe as the plan reads it: every counted request's latencies, label, tokens and work, and the power it took."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from profiler.analysis.columns import Bools, ints
from profiler.analysis.metrics import Array, failed, latency_by_request
from profiler.analysis.mixture import HARMFUL, engine_tokens
from profiler.analysis.power_at_rate import Power, power_of
from profiler.analysis.resources import resources_of
from profiler.records.store import StoredTrial
from profiler.saturation.probe import RAMP_SHARE, lateness

COLUMNS = (
    "index", "label", "outcome", "scheduled_ns", "sent_ns", "first_ns", "last_ns", "output_tokens", "chunk_tokens",
    "engine_calls.list.element.output_tokens", "engine_calls.list.element.prompt_tokens",
    "engine_calls.list.element.aborted",
)  # fmt: skip
"""The columns that `read_probe` reads."""
WORK = ("tokens generated", "prompt tokens")
THROTTLED = "the GPU throttled: cool it or lower its power limit"


@dataclass(frozen=True)
class PlanProbe:
    """The counted requests of a probe at `rate_hz`, in the order of arrival.

    `latency_ms` by metric, shape (requests,): +inf where a request failed or the probe's backlog grew, NaN where an
    answer has no such time. `harmful`, `tokens` (delivered): (requests,). `work`: (2, requests), see `WORK`.
    """

    rate_hz: float
    stopped: bool
    latency_ms: dict[str, Array]
    harmful: Bools
    tokens: Array
    work: Array
    power: Power | None
    invalid: str

    @property
    def ramp_s(self) -> float:
        """How long the arrivals took that are not counted."""
        return RAMP_SHARE / (1 - RAMP_SHARE) * len(self.harmful) / self.rate_hz

    def of(self, metric: str, harmful: bool | None = None) -> Array:
        """The latencies of the requests that have one: all, or of one kind."""
        values = self.latency_ms[metric] if harmful is None else self.latency_ms[metric][self.harmful == harmful]
        known: Array = values[~np.isnan(values)]
        return known


def read_probe(trial: StoredTrial, tightest_ms: float) -> PlanProbe | None:
    """Reduce an open-loop probe; None of a closed loop, which has no rate of its own."""
    rate_hz = trial.info.rate_hz
    if rate_hz is None:
        return None
    table = trial.table.take(np.argsort(ints(trial.table, "index")))
    stopped = bool(trial.info.stopped)
    counted = slice(0 if stopped else round(RAMP_SHARE * table.num_rows), None)
    lost = failed(table) | (ints(table, "first_ns") == 0)
    latency = {name: _missed(values, lost, stopped)[counted] for name, values in latency_by_request(table).items()}
    return PlanProbe(
        rate_hz,
        stopped,
        latency,
        np.asarray(np.array(table["label"].to_pylist(), dtype=object) == HARMFUL, dtype=np.bool_)[counted],
        ints(table, "output_tokens").astype(np.float64)[counted],
        np.stack([engine_tokens(table)[0], _prompt_tokens(table)])[:, counted],
        _power(trial, table.num_rows),
        THROTTLED if trial.info.readings.throttled else lateness(trial, tightest_ms),
    )


def _power(trial: StoredTrial, requests: int) -> Power | None:
    """At the requests a second of the metered window, in which the engine fills and drains: fewer than arrive."""
    if trial.samples is None:
        return None
    seconds = (trial.samples.facts["ended_ns"] - trial.samples.facts["began_ns"]) / 1e9
    return power_of(requests / seconds, resources_of(trial.samples)) if seconds > 0 else None


def _missed(values: Array, lost: Bools, stopped: bool) -> Array:
    """+inf for what is missed: failed requests, unless none of the others has such a time; all of a growing backlog."""
    if np.isnan(values[~lost]).all() and not lost.all():
        return values
    return np.where(lost | (~np.isnan(values) & stopped), np.inf, values)


def _prompt_tokens(table: pa.Table) -> npt.NDArray[np.float64]:
    """Tokens of each request's prompts, over all of its calls; runs from before they were kept have none."""
    calls = np.asarray(pc.fill_null(pc.list_value_length(table["engine_calls"]), 0).to_numpy(), dtype=np.int64)
    flat = pc.list_flatten(table["engine_calls"])
    if flat.type.get_field_index("prompt_tokens") < 0:
        return np.zeros(table.num_rows)
    tokens = np.asarray(pc.fill_null(pc.struct_field(flat, "prompt_tokens"), 0).to_numpy(), dtype=np.float64)
    return np.bincount(np.repeat(np.arange(len(calls)), calls), tokens, len(calls)).astype(np.float64)
