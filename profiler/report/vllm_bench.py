"""Each arm as `vllm bench serve --save-result --save-detailed` writes a run, for the dashboards that read it.

Keys as in `vllm/benchmarks/serve.py` of 0.32. Times count from the scheduled arrival and TPOT leaves out the
first piece, as everywhere in this report. Failed requests are in no latency. Runs of the first version did not keep
prompt lengths: what needs them is null.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profiler.analysis.columns import ints
from profiler.analysis.goodput import good_requests
from profiler.analysis.goodput import stated as stated_slo
from profiler.analysis.metrics import LATENCIES, failed
from profiler.analysis.run_figures import steady_trials
from profiler.analysis.tax import RunResult
from profiler.records.store import DamagedTrial, StoredTrial
from profiler.scenario import SloConfig

Floats = npt.NDArray[np.float64]
_COLUMNS = (
    "scheduled_ns", "sent_ns", "first_ns", "last_ns", "output_tokens", "outcome", "error", "chunk_ns",
    "engine_calls.list.element.prompt_tokens",
)  # fmt: skip
_PERCENTILES = (50, 90, 95, 99)


def vllm_bench_results(result: RunResult) -> dict[str, dict[str, Any]]:
    """One document an arm, by the arm's name; without the warm-up, and without trials that cannot be read."""
    trials: dict[str, list[StoredTrial]] = {arm: [] for arm in result.arms}
    for source in result.run.sources:
        if source.info.block in result.warm_up.blocks or source.info.arm not in trials:
            continue
        try:
            trials[source.info.arm].append(source.load(_COLUMNS, samples=False))
        except DamagedTrial:
            continue  # the report names it
    return {arm: _arm(result, arm, mine) for arm, mine in trials.items() if mine}


def _arm(result: RunResult, arm: str, trials: Sequence[StoredTrial]) -> dict[str, Any]:
    scenario = result.run.manifest.get("scenario") or {}
    requests = [row for trial in trials for row in _requests(trial.table)]
    done = [row for row in requests if not row["failed"]]
    seconds = sum((t.info.ended_ns - t.info.started_ns) / 1e9 for t in trials)
    total_input, total_output = _sum(r["input"] for r in requests), sum(r["output"] for r in requests)
    return {
        **_head(result, arm, scenario, len(requests)),
        "duration": seconds,
        "completed": len(done),
        "failed": len(requests) - len(done),
        "total_input_tokens": total_input,
        "total_output_tokens": total_output,
        "request_throughput": len(done) / seconds,
        "request_goodput": _goodput(trials, scenario, seconds),
        "output_throughput": total_output / seconds,
        "total_token_throughput": None if total_input is None else (total_input + total_output) / seconds,
        "input_lens": [r["input"] for r in requests],
        "output_lens": [r["output"] for r in requests],
        "ttfts": [r["ttft"] for r in requests],
        "itls": [r["itl"] for r in requests],
        "latencies": [r["latency"] for r in requests],
        "start_times": [r["start"] for r in requests],
        "queue_times": [r["queue"] for r in requests],
        "errors": [r["error"] for r in requests],
        **_latencies(result, arm, [itl for r in done for itl in r["itl"]]),
    }


def _head(result: RunResult, arm: str, scenario: Mapping[str, Any], requests: int) -> dict[str, Any]:
    manifest, load = result.run.manifest, scenario.get("load") or {}
    model = manifest["facts"]["model"]
    started = manifest.get("started")
    return {
        "date": datetime.fromisoformat(started).strftime("%Y%m%d-%H%M%S") if started else None,
        "endpoint_type": "alignment-tax",
        "backend": "alignment-tax",
        "label": arm,
        "model_id": model,
        "tokenizer_id": model,
        "num_prompts": requests,
        "request_rate": load.get("rate_hz", "inf"),
        "burstiness": load.get("burstiness", 1.0),
        "max_concurrency": load.get("users"),
        "run_id": manifest["id"],
        "valid": result.valid,
    }


def _requests(table: pa.Table) -> Iterator[dict[str, Any]]:
    """A dict a request; seconds, as vLLM's are."""
    scheduled, sent, first, last, tokens = (
        ints(table, name) for name in ("scheduled_ns", "sent_ns", "first_ns", "last_ns", "output_tokens")
    )
    pieces, errors, lengths = table["chunk_ns"].to_pylist(), table["error"].to_pylist(), _input_lengths(table)
    bad = failed(table) | (first == 0)
    for i in range(table.num_rows):
        yield {
            "failed": bool(bad[i]),
            "input": lengths[i],
            "output": 0 if bad[i] else int(tokens[i]),
            "ttft": 0.0 if bad[i] else float(first[i] - scheduled[i]) / 1e9,
            "itl": [] if bad[i] else (np.diff(np.array(pieces[i], dtype=np.int64)) / 1e9).tolist(),
            "latency": 0.0 if bad[i] else float(last[i] - scheduled[i]) / 1e9,
            "start": float(scheduled[i]) / 1e9,
            "queue": float(sent[i] - scheduled[i]) / 1e9,
            "error": (errors[i] or "no answer") if bad[i] else "",
        }


def _input_lengths(table: pa.Table) -> list[int | None]:
    """Tokens of each prompt as the engine saw it, 0 where it did not; None in a run that did not keep them."""
    if "engine_calls" not in table.column_names:
        return [None] * table.num_rows
    calls = table["engine_calls"].to_pylist()
    return [max((call["prompt_tokens"] or 0 for call in mine or ()), default=0) for mine in calls]


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _goodput(trials: Sequence[StoredTrial], scenario: Mapping[str, Any], seconds: float) -> float | None:
    slo = SloConfig.model_validate(scenario.get("slo") or {})
    if not stated_slo(slo):
        return None
    return float(sum(int(good_requests(trial.table, slo).sum()) for trial in trials) / seconds)


def _latencies(result: RunResult, arm: str, itl_s: Sequence[float]) -> dict[str, float]:
    """Mean, median, standard deviation and percentiles in ms, 0 where nothing has one: as vLLM's."""
    values: dict[str, Floats] = {
        metric: np.concatenate([t.latency_ms[metric] for t in steady_trials(result, arm)]) for metric in LATENCIES
    }
    values["itl_ms"] = np.array(itl_s, dtype=np.float64) * 1000
    found: dict[str, float] = {}
    for metric, mine in values.items():
        known = mine if len(mine) else np.zeros(1)
        found |= {
            f"mean_{metric}": float(known.mean()),
            f"median_{metric}": float(np.median(known)),
            f"std_{metric}": float(known.std()),
            **{f"p{p}_{metric}": float(np.percentile(known, p)) for p in _PERCENTILES},
        }
    return found
