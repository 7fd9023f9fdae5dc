"""The result as JSON: schema 1, a stable interface. What was not measured is null, with the reason."""

from typing import Any

from profiler.analysis.comparison import Tax
from profiler.analysis.summary import Summary
from profiler.analysis.tax import ArmResult, RunResult
from profiler.scenario import BASELINE


def to_json(result: RunResult) -> dict[str, Any]:
    """The document that `alignment-tax report RUN --format json` prints."""
    manifest = result.run.manifest
    return {
        "schema": 1,
        "run": {"id": manifest["id"], **manifest["facts"], "blocks": result.blocks, "path": str(result.run.path)},
        "baseline": BASELINE,
        "arms": {name: _arm(arm, manifest) for name, arm in result.arms.items()},
        "noise_floor": {name: _tax(tax) for name, tax in result.noise_floor.items()},
        "warnings": list(result.warnings),
    }


def _arm(arm: ArmResult, manifest: dict[str, Any]) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "output_tokens_per_s": {"mean": arm.output_tokens_per_s},
        **{name: None if s is None else _summary(s) for name, s in arm.latency.items()},
        "peak_memory_mib": arm.peak_memory_mib,
        "cpu_s_per_request": arm.cpu_s_per_request,
        "energy_j_per_token": arm.energy_j_per_token,
    }
    return {
        "requests": arm.requests,
        "metrics": metrics,
        "outcomes": arm.outcomes,
        "guard_errors": arm.guard_errors,
        "tax": {name: _tax(tax) for name, tax in arm.tax.items()},
        "not_measured": {name: _why(name, manifest) for name, value in metrics.items() if value is None},
    }


def _why(metric: str, manifest: dict[str, Any]) -> str:
    if metric == "energy_j_per_token":
        return str(manifest["not_measured"].get("energy", "no reading for every trial"))
    if metric == "tpot_ms":
        return "no answer of two tokens or more came in more than one piece"
    return "no reading"


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "mean": summary.mean,
        "p50": summary.p50,
        "p99": summary.p99,
        "p99_bounded": summary.p99_bounded,
        "count": summary.count,
    }


def _tax(tax: Tax) -> dict[str, Any]:
    return {"absolute": tax.absolute, "relative": tax.relative, "ci95": list(tax.ci95)}
