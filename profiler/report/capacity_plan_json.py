"""A capacity plan as data. What was not measured is null, with the reason."""

import math
from typing import Any

from profiler.analysis.fleet import HOURS_A_MONTH, SPARE_REPLICAS, scaled
from profiler.analysis.stats import Interval
from profiler.analysis.traffic import WINDOW_S
from profiler.capacity_plan.arm import Fleet, More
from profiler.capacity_plan.asked import Asked
from profiler.capacity_plan.capacity import PercentileCapacity
from profiler.capacity_plan.replica import unit_word
from profiler.capacity_plan.result import ArmPlan, PlanResult
from profiler.report.attribution import interval_json
from profiler.report.capacity_check import check_json
from profiler.report.capacity_plan import more_words
from profiler.report.displacement import displacement_json
from profiler.report.recorded import recorded_note
from profiler.report.schema import VERSION


def plan_json(result: PlanResult) -> dict[str, Any]:
    """The document of `--format json`."""
    manifest = result.run.manifest
    note = recorded_note(manifest)
    return {
        **({"note": note} if note else {}),
        "schema": VERSION,
        "kind": "plan",
        "run": {"id": manifest["id"], **manifest["facts"], "path": str(result.run.path)},
        "other_runs": [{"id": run.manifest["id"], "path": str(run.path)} for run in result.others],
        "asked": _asked(result.asked),
        "unit": unit_word(manifest, 1),
        "arms": {name: _arm(result, name, arm) for name, arm in result.arms.items()},
        "memory": displacement_json(result.memory),
        "warnings": list(result.warnings),
    }


def _asked(asked: Asked) -> dict[str, Any]:
    traffic = asked.traffic
    return {
        "objectives": {one.name: one.limit_ms for one in asked.objectives},
        "mean_rate_hz": asked.mean_hz,
        "serve_rate_hz": asked.serve_hz,
        "headroom": asked.headroom,
        "spare_replicas": SPARE_REPLICAS,
        "harmful": asked.harmful,
        "gpu_hour_price": asked.gpu_hour_price,
        "kwh_price": asked.kwh_price,
        "traffic": None
        if traffic is None
        else {
            "file": asked.traffic_file,
            "seconds": traffic.seconds,
            "requests": traffic.requests,
            "scale": traffic.scale,
            "window_s": WINDOW_S,
            "hours_hz": traffic.hours_hz.tolist(),
        },
    }


def _arm(result: PlanResult, name: str, arm: ArmPlan) -> dict[str, Any]:
    return {
        "capacity": _capacity(arm.capacity),
        "fleet": None if arm.fleet is None else _fleet(arm.fleet),
        "more": None if arm.more is None else _more(arm.more) | {"sentence": more_words(result, name, arm.more)},
        "checks": {objective: check_json(check) for objective, check in arm.capacity.checks.items()},
    }


def _capacity(found: PercentileCapacity) -> dict[str, Any]:
    return {
        "state": found.state,
        "rate_hz": found.hz if math.isfinite(found.hz) else None,
        "ci95": _ends(found.interval),
        "bound": None if found.bound is None else found.bound.name,
        "held_hz": found.held_hz or None,
        "missed_hz": found.missed_hz if math.isfinite(found.missed_hz) else None,
        "interpolated": found.interpolated,
        "rates_hz": list(found.rates_hz),
        "probe_seconds_needed": found.seconds or None,
        "notes": [
            *found.notes,
            *([f"nothing is read between the two rates: {found.between}"] if found.between else []),
        ],
        "not_measured": found.why or None,
    }


def _fleet(fleet: Fleet) -> dict[str, Any]:
    energy, over = fleet.energy, fleet.over_trace
    return {
        "replicas": interval_json(fleet.replicas),
        "gpus_per_replica": fleet.gpus_per_replica,
        "gpus": interval_json(fleet.gpus),
        "gpu_hours_a_day": interval_json(fleet.gpu_hours_a_day),
        "gpu_hours_a_month": interval_json(scaled(fleet.gpus, HOURS_A_MONTH)),
        "tokens_a_request": fleet.tokens_a_request,
        "cost_per_million_tokens": interval_json(fleet.cost_per_mtokens),
        "cost_per_million_requests": interval_json(fleet.cost_per_mrequests),
        "energy": {
            "kwh_per_million_tokens": interval_json(energy.kwh_per_mtokens),
            "kwh_per_million_requests": interval_json(energy.kwh_per_mrequests),
            "of": energy.of or None,
            "where": energy.where or None,
            "not_measured": energy.why or None,
        },
        "over_trace": None
        if over is None
        else {
            "replicas_by_hour": list(over.replicas_by_hour),
            "gpu_hours_scaled": interval_json(over.gpu_hours_scaled),
            "gpu_hours_peak": interval_json(over.gpu_hours_peak),
        },
    }


def _more(more: More) -> dict[str, Any]:
    return {
        "gpus": interval_json(more.interval),
        "bound": more.bound or None,
        "bound_gpus": more.gpus if more.bound else None,
        "not_measured": more.why or None,
    }


def _ends(interval: Interval | None) -> list[float | None] | None:
    found = interval_json(interval)
    return None if found is None else found["ci95"]
