"""A trial re-scored at a stricter threshold is the trial that was run at it, where requests do not meet."""

import asyncio
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from guards.check import Policy
from guards.guard import Guard, Score
from guards.input_classifier import InputClassifier
from guards.output_filter import OutputFilter
from guards.subject import Subject
from profiler.engines.virtual_time import now_ns
from profiler.records.store import StoredTrial
from profiler.scenario import ConstantLoad, OutputConfig, Scenario, load_scenario
from profiler.sweep.rescore import Stops, rescored
from tests.analysis.modelled_run import modelled_run

ROOT = Path(__file__).parents[2]
SAME = ("first_ns", "last_ns", "output_tokens", "finish_reason", "outcome", "chunk_ns", "chunk_tokens")


class Lottery:
    """p(unsafe) drawn by the text itself; takes 20 ms."""

    max_match_chars = 0

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        await asyncio.sleep(0.02)
        return Score(zlib.crc32(subject.text.encode()) % 1000 / 1000, start_ns, start_ns, now_ns())


def far_apart() -> Scenario:
    scenario = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    alone = {"load": ConstantLoad(kind="constant", rate_hz=0.1), "output": OutputConfig(length="fixed", max_tokens=40)}
    return scenario.model_copy(update=alone | {"requests_per_trial": 30})


def run_with(guards: Sequence[Guard]) -> StoredTrial:
    trials = modelled_run(far_apart(), lambda engine: {"guarded": guards}, blocks=1)
    return next(trial for trial in trials if trial.info.arm == "guarded")


def relative(trial: StoredTrial) -> list[dict[str, object]]:
    """What is compared: times since the request was due."""
    rows = []
    for row in trial.table.to_pylist():
        due_ns = row["scheduled_ns"]
        times = {"first_ns": row["first_ns"] - due_ns, "last_ns": row["last_ns"] - due_ns}
        rows.append({name: row[name] for name in SAME} | times | {"chunk_ns": [ns - due_ns for ns in row["chunk_ns"]]})
    return rows


Gating = Literal["blocking", "speculative"]


@pytest.mark.parametrize("gating", ["blocking", "speculative"])
def test_an_input_classifier(gating: Gating) -> None:
    def at(threshold: float) -> StoredTrial:
        return run_with([InputClassifier(Lottery(), Policy(threshold), gating)])

    loose, strict = at(0.9), at(0.4)
    told = rescored(loose, {"input": Stops(0.4, "blocked")})
    assert relative(told) == relative(strict)
    assert relative(told) != relative(loose)
    assert told.table.schema == strict.table.schema


@pytest.mark.parametrize("release", ["first", "after"])
def test_an_output_filter(release: Literal["first", "after"]) -> None:
    def at(threshold: float) -> StoredTrial:
        return run_with([OutputFilter(Lottery(), Policy(threshold), 8, 0, release)])

    loose, strict = at(0.95), at(0.7)
    told = rescored(loose, {"output": Stops(0.7, "cut")})
    assert relative(told) == relative(strict)
    assert {row["finish_reason"] for row in told.table.to_pylist()} == {"cut", "length"}


def test_a_stack_is_stopped_by_whichever_guard_comes_first() -> None:
    def at(prompt: float, answer: float) -> StoredTrial:
        return run_with([InputClassifier(Lottery(), Policy(prompt)), OutputFilter(Lottery(), Policy(answer), 8, 0)])

    told = rescored(at(0.9, 0.95), {"input": Stops(0.6, "blocked"), "output": Stops(0.8, "cut")})
    assert relative(told) == relative(at(0.6, 0.8))


def test_at_its_own_threshold_nothing_changes() -> None:
    trial = run_with([InputClassifier(Lottery(), Policy(0.5))])
    assert rescored(trial, {"input": Stops(0.5, "blocked")}).table.equals(trial.table)
