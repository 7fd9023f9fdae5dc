"""The ledger of a reranker that samples one candidate after another: what its rejected candidates cost is known."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from guards.generation import GenerationRequest
from guards.guard import Guard, Score
from guards.refusal_reranker import RefusalReranker
from guards.subject import Subject
from guards.trace import Stage
from profiler.analysis.candidates import passed_over
from profiler.analysis.columns import calls_of, spans_of
from profiler.analysis.ledger import METRICS, ledgers_of, sums_of, wastes_of
from profiler.analysis.ledger_entries import Ledger, Waste
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns
from profiler.records.store import StoredTrial
from profiler.scenario import ClosedLoad, Scenario, load_scenario
from tests.analysis.modelled_run import modelled_run

ENTRIES = ("direct", "induced", "waste", "saved", "residual")
CHECK_MS = 30.0
N = 3


class Judge:
    """Takes 30 ms; a text is as unsafe as its first word says."""

    max_match_chars = 0

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        await asyncio.sleep(CHECK_MS / 1e3)
        p = float(subject.text.split()[0]) if subject.side == "answer" else 0.0
        return Score(p, start_ns, start_ns, now_ns(), p_refusal=0.0)


class Candidates:
    """A script: each request's candidates begin with these words, in the order of their seeds."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.first: dict[str, int] = {}

    def __call__(self, request: GenerationRequest, index: int) -> str:
        seed = request.sampling.seed + index
        return self.words[(seed - self.first.setdefault(request.request_id, seed)) % len(self.words)] + " "


def scenario(users: int) -> Scenario:
    stated = load_scenario(Path(__file__).parents[2] / "scenarios" / "quickstart.yaml")
    return stated.model_copy(update={"load": ClosedLoad(kind="closed", users=users)})


def reranked(engine: ModelledEngine) -> Mapping[str, Sequence[Guard]]:
    return {
        "sequential": [RefusalReranker(Judge(), Judge(), n=N, mode="sequential")],
        "pairs": [RefusalReranker(Judge(), Judge(), n=4, mode="sequential", step=2)],
        "picky": [RefusalReranker(Judge(), Judge(), n=N, mode="sequential", accept_utility=0.0)],
    }


Found = tuple[dict[tuple[str, str], Ledger], dict[str, Waste], list[StoredTrial]]


def found(users: int, *words: str) -> Found:
    trials = modelled_run(scenario(users), reranked, blocks=2, script=Candidates(*words))
    sums = [s for t in trials if (s := sums_of(t)) is not None]
    ledgers = {(arm, m): ledger for m in METRICS for arm, ledger in ledgers_of(sums, m).items()}
    return ledgers, wastes_of(sums), trials


@pytest.fixture(scope="module")
def alone() -> Found:
    """One user, and every candidate rejected but the last."""
    return found(1, "1.0", "1.0", "0.0")


def entry(ledger: Ledger, name: str) -> float:
    return float(getattr(ledger, name).estimate)


def test_rejected_candidates_are_candidates_time_and_their_checks_too(alone: Found) -> None:
    ledger = alone[0]["sequential", "e2el_ms"]
    # Alone on a steady engine every candidate takes what the baseline's answer takes.
    assert ledger.stages_ms[Stage.CANDIDATES] == pytest.approx((N - 1) * ledger.baseline_ms, abs=0.01)
    assert ledger.stages_ms[Stage.PREFILL] == pytest.approx(N * CHECK_MS, abs=0.01)
    assert entry(ledger, "measured") == pytest.approx((N - 1) * ledger.baseline_ms + N * CHECK_MS, abs=0.01)
    for name in ("induced", "waste", "saved", "residual"):
        assert entry(ledger, name) == pytest.approx(0.0, abs=0.01)
    # To the first text the user waits for the chosen answer's end as well.
    held = alone[0]["sequential", "ttft_ms"]
    assert held.stages_ms[Stage.HOLD_BACK] == pytest.approx(ledger.baseline_ms - held.baseline_ms, abs=0.01)


def test_the_tokens_of_rejected_candidates_are_for_nobody(alone: Found) -> None:
    ledgers, wastes, trials = alone
    delivered = sum(int(np.sum(t.table["output_tokens"].to_numpy())) for t in trials if t.info.arm == "sequential")
    assert wastes["sequential"].tokens == (N - 1) * delivered > 0
    answers = delivered / 24
    engine_s = (N - 1) * answers * ledgers["sequential", "e2el_ms"].baseline_ms / 1e3
    assert wastes["sequential"].engine_s == pytest.approx(engine_s, rel=1e-4)
    # Of the two pairs one is rejected; the other's second candidate makes each of its 23 decoding steps 7 ms longer.
    assert wastes["pairs"].tokens == 3 * delivered
    assert entry(ledgers["pairs", "e2el_ms"], "waste") == pytest.approx(23 * 7.0, abs=0.01)
    assert entry(ledgers["pairs", "e2el_ms"], "residual") == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("words", [("1.0", "1.0", "0.0"), ("0.1", "0.3", "0.2"), ("1.0",)])
@pytest.mark.parametrize("users", [1, 4])
def test_the_entries_add_up_whichever_round_answers(users: int, words: tuple[str, ...]) -> None:
    ledgers, _, trials = found(users, *words)
    assert len(ledgers) == 6
    for ledger in ledgers.values():
        assert sum(entry(ledger, name) for name in ENTRIES) == pytest.approx(entry(ledger, "measured"), abs=1e-6)
        assert sum(ledger.stages_ms.values()) == pytest.approx(entry(ledger, "direct"), abs=1e-6)
        # Nothing of a steady engine is left unexplained.
        assert entry(ledger, "residual") == pytest.approx(0.0, abs=1.0)
    for trial in trials:
        calls, spans = calls_of(trial), spans_of(trial)
        kept = np.bincount(calls.request[~passed_over(calls, spans)], minlength=trial.table.num_rows)
        assert kept.tolist() == [1] * trial.table.num_rows


def test_of_a_refusal_the_last_candidate_is_the_engines_time() -> None:
    ledgers, wastes, _ = found(1, "1.0")
    ledger = ledgers["sequential", "e2el_ms"]
    assert ledger.stages_ms[Stage.CANDIDATES] == pytest.approx((N - 1) * ledger.baseline_ms, abs=0.01)
    assert ledger.stages_ms["wrapper"] == pytest.approx(0.0, abs=0.01)
    assert entry(ledger, "waste") == pytest.approx(ledger.baseline_ms, abs=0.01)
    assert wastes["sequential"].tokens == wastes["sequential"].generated_tokens


def test_waiting_for_a_better_candidate_in_vain_is_candidates_time() -> None:
    ledgers, _, _ = found(1, "0.1", "0.3", "0.2")
    ledger = ledgers["picky", "e2el_ms"]
    assert ledger.stages_ms[Stage.CANDIDATES] == pytest.approx((N - 1) * ledger.baseline_ms, abs=0.01)
    assert ledgers["sequential", "e2el_ms"].stages_ms[Stage.CANDIDATES] == pytest.approx(0.0, abs=0.01)
