"""The result as JSON: schema 1, a stable interface. What was not measured is null, with the reason."""

import math
from dataclasses import asdict
from typing import Any

from profiler.analysis.comparison import Tax
from profiler.analysis.ledger_entries import Ledger
from profiler.analysis.stats import Interval
from profiler.analysis.summary import Summary
from profiler.analysis.tax import ArmResult, RunResult
from profiler.report.benefit_json import benefit_json
from profiler.report.displacement import displacement_json
from profiler.report.recorded import recorded_note
from profiler.scenario import BASELINE

_ENTRIES = ("direct", "induced", "waste", "saved", "residual", "measured")


def to_json(result: RunResult) -> dict[str, Any]:
    """The document that `alignment-tax report RUN --format json` prints."""
    manifest = result.run.manifest
    note = recorded_note(manifest)
    return {
        **({"note": note} if note else {}),
        "schema": 1,
        "run": {"id": manifest["id"], **manifest["facts"], "blocks": result.blocks, "path": str(result.run.path)},
        "baseline": BASELINE,
        "judge": manifest.get("judge"),
        "arms": {name: _arm(arm, manifest) for name, arm in result.arms.items()},
        "noise_floor": {name: tax_json(tax) for name, tax in result.noise_floor.items()},
        "warm_up": {"cut_blocks": list(result.warm_up.blocks), "why": result.warm_up.why},
        "valid": result.valid,
        "warnings": [*result.warnings, *(f"{finding.arm}: {finding.text}" for finding in result.findings)],
        "findings": [asdict(finding) for finding in result.findings],
        "isolation": manifest.get("scenario", {}).get("isolation", "shared"),
        "placements": manifest.get("placements", {}),
        "kv_displacement": displacement_json(result.displacement),
        "meters": {**manifest.get("meters", {}), "not_measured": manifest.get("not_measured", {})},
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
        "guard_checks": arm.guard_checks,
        "preemptions": arm.preemptions,
        "tax": {name: tax_json(tax) for name, tax in arm.tax.items()},
        "ledger": {metric: _ledger(ledger) for metric, ledger in arm.ledger.items()},
        "waste": None if arm.waste is None else asdict(arm.waste),
        "benefit": benefit_json(arm.benefit),
        "resources": None if arm.resources is None else asdict(arm.resources),
        "not_measured": {name: _why(name, manifest) for name, value in metrics.items() if value is None},
    }


def _why(metric: str, manifest: dict[str, Any]) -> str:
    if metric == "energy_j_per_token":
        # Runs of before the samples say "energy".
        found = (manifest["not_measured"].get(name) for name in ("energy", "gpu"))
        return str(next((why for why in found if why), "no reading for every trial"))
    if metric == "tpot_ms":
        return "no answer of two tokens or more came in more than one piece"
    return "no reading"


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "mean": summary.mean,
        "p50": summary.p50,
        "p90": summary.p90,
        "p99": summary.p99,
        "p99_bounded": summary.p99_bounded,
        "count": summary.count,
        "ci95": {
            "mean": None if summary.mean_ci95 is None else _ends(summary.mean_ci95),
            "p50": _ends(summary.p50_ci95),
            "p90": _ends(summary.p90_ci95),
            "p99": _ends(summary.p99_ci95),
        },
    }


def tax_json(tax: Tax) -> dict[str, Any]:
    """A tax with its intervals and its verdict."""
    return {
        "absolute": tax.absolute,
        "relative": tax.relative,
        "ci95": [_finite(end) for end in tax.ci95],
        "relative_ci95": None if tax.relative_ci95 is None else [_finite(end) for end in tax.relative_ci95],
        "p_value": tax.p_value,
        "p_holm": tax.p_holm,
        "verdict": tax.verdict,
        "mde": tax.mde,
        "mde_relative": tax.mde_relative,
    }


def _ledger(ledger: Ledger) -> dict[str, Any]:
    return {
        **{entry: _estimate(getattr(ledger, entry)) for entry in _ENTRIES},
        "baseline_ms": ledger.baseline_ms,
        "stages_ms": ledger.stages_ms,
        "contention": None if ledger.contention is None else _estimate(ledger.contention),
        "by_difference": ledger.by_difference,
    }


def _estimate(interval: Interval) -> dict[str, Any]:
    return {"estimate": _finite(interval.estimate), "ci95": _ends(interval)}


def _ends(interval: Interval) -> list[float | None]:
    return [_finite(interval.low), _finite(interval.high)]


def _finite(value: float) -> float | None:
    """JSON has no infinity: null is an end that the data do not bound."""
    return value if math.isfinite(value) else None
