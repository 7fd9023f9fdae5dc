"""How long does `history` take for 50 runs of 30 trials, and how often does it cry wolf?

One run on the modelled engine, stored 50 times; the series of one level are drawn with the runs' own standard errors
known only as guesses. The last line is one JSON object.
"""

import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.resume_run import begin, small_scenario
from profiler.analysis.history import in_series
from profiler.analysis.stats.change_points import change_points
from profiler.history import read_history
from profiler.records.store import MANIFEST

RUNS, BLOCKS, REPEATS = 50, 6, 400
LENGTHS = (10, 20, 40)
DRIFT = 0.3


def many_runs(folder: Path, runs: int = RUNS) -> None:
    """The same run again and again under other names and dates."""
    first = begin(folder / "once", small_scenario(blocks=BLOCKS))
    for number in range(runs):
        run = Path(shutil.copytree(first, folder / "results" / f"run-{number:03d}"))
        said = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
        said |= {"id": run.name, "started": f"2026-01-01T00:{number:02d}:00+00:00"}
        (run / MANIFEST).write_text(json.dumps(said), encoding="utf-8")
        lines = (run / "checksums.jsonl").read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if MANIFEST not in line]
        (run / "checksums.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")


def false_alarm_rate(n: int, between: float, repeats: int = REPEATS, drift: float = 0.0) -> float:
    """Of series of one level and n runs: how many show a change. `drift`: what a run keeps of the last one's noise."""
    rng, alarms = np.random.default_rng(n), 0
    for _ in range(repeats):
        own = 0.02 * np.exp(0.5 * rng.normal(size=n))
        noise = rng.normal(size=n)
        for run in range(1, n):
            noise[run] = drift * noise[run - 1] + np.sqrt(1 - drift**2) * noise[run]
        x = noise * np.hypot(own, between)
        alarms += bool(change_points(x, own * np.sqrt(rng.chisquare(5, size=n) / 5)))
    return alarms / repeats


def main() -> None:
    """Time a history, count false alarms, print both, then the figures as JSON."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        many_runs(Path(scratch))
        began_s = time.perf_counter()
        found = read_history(Path(scratch) / "results", "ttft_ms.p50")
        in_series(found.runs, tax=False)
        figures["seconds_50_runs"] = round(time.perf_counter() - began_s, 2)
        trials = RUNS * BLOCKS * (len(found.runs[0].arms) + 1)
        print(f"{len(found.runs)} runs, {trials} trials: {figures['seconds_50_runs']} s")
    print(f"{'runs':>5} {'between':>8} {'false alarms':>13}")
    for n in LENGTHS:
        for between in (0.0, 0.05):
            rate = false_alarm_rate(n, between)
            figures[f"false_alarm_rate_{n}_{between}"] = rate
            print(f"{n:>5} {between:>8} {rate:>12.1%}")
        rate = figures[f"false_alarm_rate_{n}_ar{DRIFT}"] = false_alarm_rate(n, 0.05, drift=DRIFT)
        print(f"{n:>5} {0.05:>8} {rate:>12.1%}  (AR(1) {DRIFT}: a machine that drifts)")
    print(json.dumps({"bench": "history", "figures": figures}))


if __name__ == "__main__":
    main()
