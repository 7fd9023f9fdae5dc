"""How far do estimates of the same taxes spread, design by design, at equal machine time?

Reads the stored trials of a `bench-precision` (RUN=results/precision-...; the newest without it), cuts them into
windows of whole blocks of WINDOW_S (60) seconds, and lets every design estimate the taxes from each window: the
ledger, and the designs of `benchmarks.designs`. Two bench runs are not among them: they need minutes. The last line is
one JSON object.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from benchmarks.designs import DESIGNS
from benchmarks.precision_table import DELAY_MS, Ours, estimates
from profiler.analysis.stats import root_mean_square_error
from profiler.errors import UserError
from profiler.records.store import StoredTrial, read_run

_ROOT = Path(__file__).parent.parent
LEDGER = "ledger (direct, induced)"


def windows(trials: Sequence[StoredTrial], seconds: float) -> Iterator[list[StoredTrial]]:
    """Runs of whole blocks that take `seconds` or a little more, two blocks at least; a short rest is left out."""
    window: list[StoredTrial] = []
    for _, block in groupby(sorted(trials, key=lambda t: t.info.index), key=lambda t: t.info.block):
        window += block
        lasted_s = (window[-1].info.ended_ns - window[0].info.started_ns) / 1e9
        if lasted_s >= seconds and len({t.info.block for t in window}) > 1:
            yield window
            window = []


def spreads(found: Sequence[Ours]) -> dict[str, tuple[float, float, float | None]]:
    """By design: RMSE of the delay (ms of TTFT), spread of the burner and of the A/A (% of E2EL)."""
    rows: dict[str, tuple[float, float, float | None]] = {
        LEDGER: (_rmse([one.direct_ms for one in found]), _sd([one.induced_percent for one in found]), None)
    }
    for name in DESIGNS:
        delay, burner, again = zip(*(one.designs_ms[name] for one in found), strict=True)
        percent = [
            [100 * ms / one.e2el_ms for ms, one in zip(column, found, strict=True)] for column in (burner, again)
        ]
        rows[name] = (_rmse(delay), _sd(percent[0]), _sd(percent[1]))
    return rows


def _rmse(values: Sequence[float]) -> float:
    return root_mean_square_error(values, DELAY_MS)


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1))


def _stored() -> tuple[Path, list[list[StoredTrial]]]:
    stated = os.environ.get("RUN")
    folders = [Path(stated)] if stated else sorted((_ROOT / "results").glob("precision-*"))[-1:]
    repeats = sorted(folders[0].glob("repeat-*")) if folders else []
    if not repeats:
        raise UserError(f"RUN={stated or ''}: no trials of a bench-precision there: run `make bench-precision` first")
    return folders[0], [list(read_run(repeat).trials) for repeat in repeats]


def main() -> None:
    """Print each design's spread, then the figures as JSON."""
    seconds = float(os.environ.get("WINDOW_S", "60"))
    try:
        folder, repeats = _stored()
    except UserError as error:
        print(f"bench-design-spreads: {error}", file=sys.stderr)
        sys.exit(2)
    found = [estimates(window) for trials in repeats for window in windows(trials, seconds)]
    if len(found) < 2:
        sys.exit(f"bench-design-spreads: {len(found)} windows of {seconds:g} s in {folder.name}: fewer than two")
    rows = spreads(found)
    print(f"{folder.name}: {len(found)} windows of {seconds:g} s, four arms in each")
    print(f"{'':<28} {'delay RMSE, ms':>15} {'burner spread, %':>17} {'A/A spread, %':>14}")
    for name, (delay, burner, again) in rows.items():
        print(f"{name:<28} {delay:>15.2f} {burner:>17.2f} {'-' if again is None else f'{again:.2f}':>14}")
    flat = {
        f"{''.join(c if c.isalnum() else '_' for c in name)}_{what}": None if value is None else round(value, 4)
        for name, row in rows.items()
        for what, value in zip(("delay_rmse_ms", "burner_sd_percent", "aa_sd_percent"), row, strict=True)
    }
    print(json.dumps({"bench": "design-spreads", "figures": {"windows": len(found), "window_s": seconds, **flat}}))


if __name__ == "__main__":
    main()
