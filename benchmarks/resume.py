"""Is anything lost when a run is killed? `kill -9` at random moments, then resume until it is done.

Child processes run a small scenario on the modelled engine; each is killed at a moment drawn at random over what the
whole run takes, and the next goes on with what is there. A trial is lost if its file, once the child had said that it
was stored, is not there or is another at the end, or if it is run again. The table is compared with the one of a run
that nobody killed, as text and as JSON. The last line is one JSON object. Bars: 20 kills, 0 lost, tables equal.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.resume_run import RUN
from profiler.analysis.tax import analyse
from profiler.records.durable import Fingerprint, fingerprint
from profiler.records.store import read_run
from profiler.report.as_json import to_json
from profiler.report.terminal import print_result

KILLS = 20
_KILLS_A_RUN = 5
_LIMIT_S = 120.0


@dataclass
class Killed:
    """One run over several processes. `stored` is each trial's file as it was once it had been said to be stored."""

    kills: int = 0
    lost: int = 0
    stored: dict[int, Fingerprint] = field(default_factory=dict)


def run_child(folder: Path, kill_after_s: float | None) -> tuple[list[int], bool, float]:
    """Run a child, killed so long after it was ready, if at all: which trials it stored, whether it ended, seconds."""
    command = [sys.executable, "-m", "benchmarks.resume_run", str(folder)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as child:
        assert child.stdout is not None and child.stderr is not None
        try:
            if child.stdout.readline() != "ready\n":
                raise SystemExit(child.stderr.read())
            began_s = time.monotonic()
            try:
                child.wait(_LIMIT_S if kill_after_s is None else kill_after_s)
            except subprocess.TimeoutExpired:
                child.kill()
            said = child.stdout.read().splitlines()
            seconds, errors = time.monotonic() - began_s, child.stderr.read()
        finally:
            child.kill()
    if child.returncode > 0:
        raise SystemExit(errors)
    return [int(line.split()[1]) for line in said if line.startswith("stored ")], "done" in said, seconds


def killed_run(folder: Path, kills: int, whole_s: float, rng: np.random.Generator) -> Killed:
    """Kill a run up to `kills` times, then let it end. Each is killed within a third of `whole_s`, at random."""
    found, ended = Killed(), False
    while not ended:
        wait_s = float(rng.uniform(0, whole_s / 3)) if found.kills < kills else None
        said, ended, _ = run_child(folder, wait_s)
        found.kills += not ended
        found.lost += sum(index in found.stored for index in said)  # run again
        for index in said:
            if (file := _file(folder, index)).is_file():
                found.stored[index] = fingerprint(file)
            else:
                found.lost += 1
    found.lost += sum(
        not _file(folder, index).is_file() or fingerprint(_file(folder, index)) != was
        for index, was in found.stored.items()
    )
    return found


def _file(folder: Path, index: int) -> Path:
    return folder / RUN / "trials" / f"{index:04d}.parquet"


def table_of(run: Path) -> tuple[str, dict[str, Any]]:
    """The table, and all of it as JSON but where the run lies."""
    result = analyse(read_run(run, verify=True))
    text = io.StringIO()
    print_result(result, Console(file=text, width=80))
    document = to_json(result)
    return text.getvalue().replace(str(run), RUN), {key: value for key, value in document.items() if key != "run"}


def main() -> None:
    """One whole run, then killed ones; print; then the figures as JSON."""
    kills = lost = runs = 0
    equal, rng = True, np.random.default_rng(9)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, _, whole_s = run_child(folder / "whole", None)
        # The first is cold.
        whole_s = min(whole_s, run_child(folder / "again", None)[2])
        wanted = table_of(folder / "whole" / RUN)
        while kills < KILLS:
            found = killed_run(folder / "killed", min(_KILLS_A_RUN, KILLS - kills), whole_s, rng)
            kills, lost, runs = kills + found.kills, lost + found.lost, runs + 1
            same = table_of(folder / "killed" / RUN) == wanted
            equal = equal and same
            print(f"run {runs}: {found.kills} kills, {found.lost} trials lost, table {'equal' if same else 'differs'}")
            shutil.rmtree(folder / "killed")
    print(f"{kills} kills over {whole_s:.1f} s of a run: {lost} finished trials lost")
    figures = {"kills": kills, "lost_trials": lost, "tables_equal": equal}
    print(json.dumps({"bench": "resume", "figures": figures}))


if __name__ == "__main__":
    main()
