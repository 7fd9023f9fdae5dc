"""From stored trials to the result: the warm-up is cut everywhere, and a broken rule makes the run invalid."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profiler.analysis.tax import RunResult, analyse
from profiler.records.record import Outcome
from profiler.records.store import StoredRun, StoredTrial
from tests.analysis.made_trials import request, trial

ARMS = [("none", 0), ("guard", 0), ("none", 1)]


def trials(slow: Sequence[float], *, lag_ms: float = 0.0, fail: int = 0) -> list[StoredTrial]:
    """Block b is `slow[b]` times as slow as usual; the guard costs 100 of 500 ms; `fail` of its requests fail."""
    random, found = np.random.default_rng(3), []
    for block, factor in enumerate(slow):
        for arm, replicate in ARMS:
            ms = (500 + 100 * (arm == "guard")) * factor * np.exp(0.01 * random.standard_normal())
            outcomes = [Outcome.ERROR if arm == "guard" and i < fail else Outcome.PASSED for i in range(4)]
            records = [request(i, service_ms=ms, lag_ms=lag_ms, outcome=o) for i, o in enumerate(outcomes)]
            found.append(trial(len(found), block, arm, records, replicate=replicate))
    return found


def result(found: list[StoredTrial], load: str = "closed") -> RunResult:
    manifest: dict[str, Any] = {"id": "r", "arms": ["none", "guard"], "scenario": {"load": {"kind": load}}}
    return analyse(StoredRun(Path("r"), manifest, tuple(found), ()))


def test_the_warm_up_is_in_no_figure() -> None:
    warm = result(trials([2.0, 2.0, *[1.0] * 10]))
    assert warm.warm_up.blocks[:2] == (0, 1)
    assert warm.blocks == 12 - len(warm.warm_up.blocks) >= 6
    assert warm.arms["none"].requests == 8 * warm.blocks
    for arm in warm.arms.values():
        summary = arm.latency["e2el_ms"]
        assert summary is not None
        assert summary.p99 < 650
    assert warm.arms["guard"].tax["e2el_ms.mean"].absolute == pytest.approx(100, abs=15)
    assert warm.arms["guard"].ledger["e2el_ms"].measured.estimate == pytest.approx(100, abs=15)


def test_a_sound_run_is_valid() -> None:
    sound = result(trials([1.0] * 8))
    assert sound.valid
    assert sound.findings == ()
    assert sound.arms["guard"].tax["e2el_ms.mean"].verdict == "tax"


def test_failed_requests_make_the_run_invalid() -> None:
    broken = result(trials([1.0] * 8, fail=1))
    assert not broken.valid
    assert [(f.rule, f.arm) for f in broken.findings] == [("failed", "guard")]


@pytest.mark.parametrize(("load", "valid"), [("closed", True), ("poisson", False)])
def test_a_late_dispatch_breaks_an_open_loop_only(load: str, valid: bool) -> None:
    late = result(trials([1.0] * 8, lag_ms=5.0), load)
    assert late.valid is valid
    assert {f.rule for f in late.findings} == {"lag"}


def test_a_tax_that_the_lag_could_have_made_is_invalid() -> None:
    late = result(trials([1.0] * 8, lag_ms=15.0))
    assert ("lag-of-tax", "guard") in {(f.rule, f.arm) for f in late.findings}
    assert not late.valid
