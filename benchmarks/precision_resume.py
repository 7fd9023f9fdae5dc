"""Going on with a `bench-precision` that was stopped: its whole repeats are read back and estimated again."""

import json
import shutil
from pathlib import Path

from benchmarks.precision_table import Repeat, estimates
from benchmarks.two_runs import BenchRun, NaiveRepeat
from profiler.errors import UserError
from profiler.records.store import read_run


def repeat_folder(folder: Path, number: int) -> Path:
    """Where a repeat's trials are."""
    return folder / f"repeat-{number:02d}"


def resumed(folder: Path) -> list[Repeat]:
    """The repeats in `folder` that both methods have finished; what is left of another is removed.

    Raises:
        UserError: no such benchmark there.
    """
    try:
        lines = (folder / "two-runs.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        raise UserError(
            f"RESUME={folder}: no stopped bench-precision there: name a results/precision-* folder"
        ) from None
    naive = [NaiveRepeat(**{name: BenchRun(**run) for name, run in json.loads(line).items()}) for line in lines]
    shutil.rmtree(repeat_folder(folder, len(naive)), ignore_errors=True)
    trials = [list(read_run(repeat_folder(folder, number)).trials) for number in range(len(naive))]
    return [Repeat(estimates(ours), found) for ours, found in zip(trials, naive, strict=True)]
