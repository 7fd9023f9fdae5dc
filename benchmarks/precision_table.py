"""What `bench-precision` says: estimates of a repeat, rows, the table of both methods, the figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.designs import AGAIN, DESIGNS, baseline_ms, cells
from benchmarks.two_runs import NaiveRepeat
from profiler.analysis.ledger import ledgers_of, sums_of
from profiler.analysis.stats.calibration import root_mean_square_error
from profiler.records.store import StoredTrial

DELAY_MS = 20.0


@dataclass(frozen=True)
class Ours:
    """One interleaved run's estimates. `designs_ms`: by design, (delay's TTFT, burner's E2EL, A/A of E2EL)."""

    direct_ms: float
    induced_percent: float
    blocks: int
    e2el_ms: float
    designs_ms: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Repeat:
    """Both methods' estimates of one repeat."""

    ours: Ours
    naive: NaiveRepeat


def estimates(trials: Sequence[StoredTrial]) -> Ours:
    """The ledger's direct and induced cost, and what other designs make of the same trials."""
    ttft, e2el = cells(trials, "ttft_ms"), cells(trials, "e2el_ms")
    designs = {n: (find(ttft, "delay"), find(e2el, "burner"), find(e2el, AGAIN)) for n, find in DESIGNS.items()}
    sums = [found for trial in trials if (found := sums_of(trial)) is not None]
    direct_ms = ledgers_of(sums, "ttft_ms")["delay"].direct.estimate
    burner = ledgers_of(sums, "e2el_ms")["burner"]
    induced_percent = 100 * burner.induced.estimate / burner.baseline_ms
    blocks = len({t.info.block for t in trials})
    return Ours(float(direct_ms), float(induced_percent), blocks, baseline_ms(e2el), designs)


HEADER = (
    f"{'':>6} {'20 ms delay, TTFT: ms found':>36}   {'burner 10 %, E2EL: % found':>36}\n"
    f"{'repeat':>6} {'profiler':>18} {'two bench runs':>17}   {'profiler':>18} {'two bench runs':>17}   blocks"
)


def row(number: int, repeat: Repeat) -> str:
    ours, naive = repeat.ours, repeat.naive
    delay = f"{ours.direct_ms:>18.3f} {naive.direct_ms:>17.3f}"
    burner = f"{ours.induced_percent:>18.2f} {naive.induced_percent:>17.2f}"
    return f"{number + 1:>6} {delay}   {burner}   {ours.blocks:>6}"


def figures(minutes: float, done: Sequence[Repeat]) -> dict[str, float | int | None]:
    """What the last line tells; None where there are too few repeats."""
    direct, naive_direct = [r.ours.direct_ms for r in done], [r.naive.direct_ms for r in done]
    induced, naive_induced = [r.ours.induced_percent for r in done], [r.naive.induced_percent for r in done]
    rmse, naive_rmse = _rmse(direct), _rmse(naive_direct)
    sd, naive_sd = _sd(induced), _sd(naive_induced)
    found = {
        "direct_rmse_ms": rmse,
        "naive_rmse_ms": naive_rmse,
        "direct_rmse_ratio": _ratio(naive_rmse, rmse),
        "induced_mean_percent": _mean(induced),
        "naive_induced_mean_percent": _mean(naive_induced),
        "induced_sd_percent": sd,
        "naive_induced_sd_percent": naive_sd,
        "induced_rmse_ratio_vs_two_bench_runs": _ratio(naive_sd, sd),
    }
    for name in DESIGNS if done else ():
        key = "".join(c if c.isalnum() else "_" for c in name.replace(",", ""))
        delay, burner, again = _design(done, name)
        found |= {f"design_{key}_delay_rmse_ms": delay, f"design_{key}_burner_sd_percent": burner}
        found[f"design_{key}_aa_sd_percent"] = again
    rounded = {key: None if value is None else round(value, 4) for key, value in found.items()}
    return {"minutes": minutes, "repeats": len(done), **rounded}


def _design(done: Sequence[Repeat], name: str) -> tuple[float | None, float | None, float | None]:
    """RMSE of the delay's TTFT (ms), spread of the burner's and of the A/A's E2EL (%)."""
    delay, burner, again = zip(*(r.ours.designs_ms[name] for r in done), strict=True)
    e2el = [r.ours.e2el_ms for r in done]
    percent = [[100 * ms / base for ms, base in zip(column, e2el, strict=True)] for column in (burner, again)]
    return _rmse(delay), _sd(percent[0]), _sd(percent[1])


def _rmse(found: Sequence[float]) -> float | None:
    return root_mean_square_error(found, DELAY_MS) if found else None


def _sd(found: Sequence[float]) -> float | None:
    return float(np.std(found, ddof=1)) if len(found) > 1 else None


def _mean(found: Sequence[float]) -> float | None:
    return float(np.mean(found)) if found else None


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    return theirs / ours if theirs is not None and ours else None


def table(done: Sequence[Repeat], shown: dict[str, float | int | None]) -> str:
    """Both methods side by side, then the other designs on the same trials."""
    rows = [
        ("delay 20 ms, TTFT: RMSE, ms", "direct_rmse_ms", "naive_rmse_ms", "direct_rmse_ratio"),
        ("burner 10 %, E2EL: mean, %", "induced_mean_percent", "naive_induced_mean_percent", ""),
        (
            "burner 10 %, E2EL: spread, %",
            "induced_sd_percent",
            "naive_induced_sd_percent",
            "induced_rmse_ratio_vs_two_bench_runs",
        ),
    ]
    lines = [f"\n{'':<32} {'profiler':>12} {'two bench runs':>16} {'times better':>14}"]
    for title, ours, naive, ratio in rows:
        lines.append(f"{title:<32} {_cell(shown[ours]):>12} {_cell(shown[naive]):>16} {_cell(shown.get(ratio)):>14}")
    lines.append(
        f"\n{'other designs, same trials':<32} {'delay RMSE, ms':>16} {'burner spread, %':>18} {'A/A spread, %':>15}"
    )
    for name in DESIGNS if done else ():
        delay, burner, again = _design(done, name)
        lines.append(f"{name:<32} {_cell(delay):>16} {_cell(burner):>18} {_cell(again):>15}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
