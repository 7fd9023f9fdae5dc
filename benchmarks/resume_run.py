"""A small run on the modelled engine in virtual time, to be killed and gone on with: `python -m benchmarks.resume_run`.

The engine's clock is virtual, so that a run has the same figures however often it was killed; its files are written
and synced for real. Standard output says `ready`, `stored N` for each trial that is on disk, and `done`.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from guards.controls import ChunkDelay, Delay, Doubler
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.virtual_time import InlineThreadsLoop, now_ns, run_virtual
from profiler.experiment import Bench, Experiment
from profiler.plan import PlannedTrial
from profiler.profile import manifest, until_stopped
from profiler.prompts import read_prompt_sets
from profiler.records.lock import held
from profiler.records.record import RequestRecord
from profiler.records.samples import Samples
from profiler.records.store import StoredTrial, TrialFile, create_run
from profiler.resume import going_on
from profiler.scenario import MetersConfig, Scenario, load_scenario
from profiler.unfinished import unfinished

RUN = "run"
_QUICKSTART = Path(__file__).parents[1] / "scenarios" / "quickstart.yaml"
_FAST = ModelParameters(prefill_ns_per_token=20_000, step_base_ns=4_000_000, step_ns_per_sequence=100_000)
_GUARDS = {guard.name: guard for guard in (Delay(20.0), ChunkDelay(2.0), Doubler())}
_ARMS = {"delay": ["input"], "chunks": ["output"], "all": ["input", "output", "rerank"]}


class StillMeters:
    """Has windows with no samples: what this machine does while it simulates is in no figure."""

    power = False

    def __init__(self) -> None:
        self.not_measured = {"energy": "a modelled engine draws no power"}

    def begin(self, roles: object) -> None:
        self._began_ns = now_ns()

    def end(self, roles: object) -> Samples:
        facts = {"began_ns": self._began_ns, "ended_ns": now_ns(), "roles": {}}
        return Samples(facts, (), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))

    def facts(self) -> dict[str, Any]:
        return {"period_s": 0.1, "gpus": [], "rapl": [], "warnings": []}


class _Named(ModelledEngine):
    @property
    def facts(self) -> dict[str, str]:
        return {**super().facts, "vllm_version": "-"}


class Told:
    """An observer that calls `stored` with each stored trial's index."""

    def __init__(self, stored: Callable[[int], None]) -> None:
        self._stored = stored

    def trial_started(self, planned: PlannedTrial) -> None:
        pass

    def request_done(self, record: RequestRecord) -> None:
        pass

    def trial_found(self, source: StoredTrial | TrialFile) -> None:
        pass

    def trial_stored(self, trial: StoredTrial) -> None:
        self._stored(trial.info.index)


def small_scenario(**update: Any) -> Scenario:
    """Four arms of the modelled engine's controls; their guards' statements are the quickstart's, never built."""
    base = {
        "arms": _ARMS, "blocks": 6, "requests_per_trial": 8, "warmup_requests": 2, "judge_answers": False,
        "meters": MetersConfig(idle_seconds=1.0, cooldown_seconds=0.5),
    }  # fmt: skip
    return load_scenario(_QUICKSTART).model_copy(update=base | update)


def _bench() -> Bench:
    guards = dict(zip(("input", "output", "rerank"), _GUARDS.values(), strict=True))
    return Bench(_Named(_FAST, now_ns=now_ns), guards, StillMeters())


def begin(folder: Path, scenario: Scenario, stored: Callable[[int], None] = lambda index: None, **notes: Any) -> Path:
    """Run it from the start; the run's folder."""

    async def execute() -> Path:
        bench, sets = _bench(), read_prompt_sets(scenario)
        said = {"id": RUN, **manifest(scenario, sets, bench), **notes}
        run = await asyncio.to_thread(create_run, folder, RUN, said)
        with held(run):
            experiment = Experiment(scenario, sets, bench, run, now_ns=now_ns)
            await until_stopped(experiment.execute(Told(stored)), run)
        return run

    return run_virtual(execute, InlineThreadsLoop)


def go_on(run: Path, stored: Callable[[int], None] = lambda index: None) -> None:
    """Run what is missing."""

    async def execute() -> None:
        with held(run):
            found = unfinished(run)
            if found.ending():
                return
            bench, sets = _bench(), read_prompt_sets(found.scenario)
            experiment = await going_on(found, sets, bench, manifest(found.scenario, sets, bench))
            clocked = Experiment(found.scenario, sets, bench, run, experiment.finished, now_ns)
            await until_stopped(clocked.execute(Told(stored)), run)

    run_virtual(execute, InlineThreadsLoop)


def _tell(index: int) -> None:
    print(f"stored {index}", flush=True)


def main() -> None:
    """Begin the run in the folder that is named, or go on with the one that is there."""
    folder = Path(sys.argv[1])
    print("ready", flush=True)
    if (folder / RUN / "run.json").exists():
        go_on(folder / RUN, _tell)
    else:
        begin(folder, small_scenario(), _tell)
    print("done", flush=True)


if __name__ == "__main__":
    main()
