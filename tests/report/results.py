"""Results made by hand, so that reports can be read without a run."""

from pathlib import Path

from profiler.analysis.comparison import Tax
from profiler.analysis.ledger_entries import Ledger, Waste
from profiler.analysis.stats import Interval
from profiler.analysis.steady import Cut
from profiler.analysis.summary import Summary, summarise
from profiler.analysis.tax import ArmResult, RunResult
from profiler.analysis.validity import Finding
from profiler.records.store import StoredRun

OUTCOMES = {"passed": 90, "blocked": 10, "redacted": 0, "reranked": 0, "error": 0}


def interval(estimate: float, half_width: float = 1.5) -> Interval:
    return Interval(estimate, estimate - half_width, estimate + half_width, 0.95)


def ledger(arm: str, metric: str = "ttft_ms", *, scale: float = 1.0, by_difference: bool = False) -> Ledger:
    return Ledger(
        arm=arm,
        metric=metric,
        baseline_ms=1000.0,
        measured=interval(30 * scale),
        direct=interval(20 * scale, 0.1),
        induced=interval(8 * scale),
        waste=interval(3 * scale),
        saved=interval(-2 * scale),
        residual=interval(1 * scale),
        stages_ms={"prefill": 19 * scale, "hold_back": 0.9 * scale, "queue": 0.0, "wrapper": 0.1 * scale},
        contention=interval(0.25, 0.1),
        by_difference=by_difference,
    )


def tax(absolute: float = 20.0, verdict: str = "tax") -> Tax:
    return Tax(
        absolute=absolute,
        relative=absolute / 1000,
        ci95=(absolute - 2, absolute + 2),
        relative_ci95=(absolute / 1000 - 0.002, absolute / 1000 + 0.002),
        p_value=0.001,
        p_holm=0.004,
        verdict=verdict,  # type: ignore[arg-type]
        mde=3.0,
        mde_relative=0.003,
    )


def summary(n: int = 500) -> Summary | None:
    values = [100.0 + i for i in range(n)]
    return summarise([values[: n // 2], values[n // 2 :]])  # type: ignore[list-item]


def arm(name: str, *, scale: float = 1.0, requests: int = 500) -> ArmResult:
    taxed = {} if name == "none" else {"ttft_ms.p50": tax(20 * scale), "e2el_ms.mean": tax(-5 * scale, "saving")}
    return ArmResult(
        name=name,
        requests=requests,
        latency={metric: summary(requests) for metric in ("ttft_ms", "tpot_ms", "e2el_ms")},
        output_tokens_per_s=123.4,
        peak_memory_mib=1500.0,
        cpu_s_per_request=0.25,
        energy_j_per_token=None,
        outcomes=OUTCOMES,
        guard_errors=0,
        tax=taxed,
        ledger={} if name == "none" else {m: ledger(name, m, scale=scale) for m in ("ttft_ms", "e2el_ms")},
        waste=None if name == "none" else Waste(25, 100, 1.5, None, 40),
    )


def result(*arms: ArmResult, findings: tuple[Finding, ...] = (), cut: tuple[int, ...] = ()) -> RunResult:
    manifest = {
        "id": "r",
        "facts": {"model": "m", "device_name": "d", "vllm_version": "0.32.0"},
        "not_measured": {"energy": "no meter here"},
    }
    run = StoredRun(Path("results/r"), manifest, (), ())
    warm_up = Cut(cut, f"the first {len(cut)} blocks ran 12% slower: cut" if cut else "none cut")
    floor = {"ttft_ms.p50": tax(1.0, "no difference found")}
    return RunResult(run, 6, {a.name: a for a in arms}, floor, warm_up, ("one thing",), findings, ())
