"""Costs by outcome and the tax of another mix: from trials to what the user reads."""

import asyncio
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats as scipy_stats

from guards.guard import Guard, Score
from guards.input_classifier import InputClassifier
from guards.subject import Subject
from guards.trace import EngineCall
from profiler.analysis.mixture import COLUMNS, METRICS, Mixture, at_fraction, mixture
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns
from profiler.records.record import Outcome, RequestRecord
from profiler.records.store import StoredTrial, create_run, read_run, write_stored
from profiler.report.mixture import mixture_json, print_mixture
from profiler.scenario import load_scenario
from tests.analysis.made_trials import request, trial
from tests.analysis.modelled_run import modelled_run

LABELS = ("benign", "benign", "benign", "borderline", "harmful")
# Two of ten requests are harmful.
OWN = 0.2
BLOCKS = 4
# Service time in ms, tokens, finish reason, outcome.
Fate = tuple[float, int, str, Outcome]
FateOf = Callable[[str, int, int], Fate]


def made(index: int, label: str, fate: Fate) -> RequestRecord:
    service_ms, tokens, finish, outcome = fate
    call = EngineCall(1, 2, 3, 4, tokens, finish, False, None, (), ())
    found = request(index, service_ms=service_ms, tokens=tokens, finish=finish, outcome=outcome)
    return replace(found, label=label, engine_calls=(call, call)[: 1 if tokens else 0])


def plain_fate(label: str, index: int, block: int) -> Fate:
    return 400.0 + 10 * index + 50 * block + 100 * (label == "harmful"), 40, "length", Outcome.PASSED


def run_of(fate_of: FateOf, labels: Sequence[str] = LABELS, blocks: int = BLOCKS, arm: str = "g") -> list[StoredTrial]:
    """An arm and two baselines that differ by 20 ms, in every block."""
    found = []
    for block in range(blocks):
        rows = list(enumerate([*labels, *labels]))
        base = [[made(i, label, plain_fate(label, i, block)) for i, label in rows] for _ in range(2)]
        base[1] = [replace(r, last_ns=r.last_ns + 20_000_000) for r in base[1]]
        found += [trial(3 * block + k, block, "none", base[k], replicate=k) for k in (0, 1)]
        found.append(trial(3 * block + 2, block, arm, [made(i, label, fate_of(label, i, block)) for i, label in rows]))
    return found


def blocking(label: str, index: int, block: int) -> Fate:
    """Checks take 30 ms; the harmful are refused at 60 ms, or cut after 10 tokens."""
    if label != "harmful":
        service_ms, *others = plain_fate(label, index, block)
        return (service_ms + 30.0 + block, *others)  # type: ignore[return-value]
    return (60.0, 0, "blocked", Outcome.BLOCKED) if index < 5 else (160.0, 10, "cut", Outcome.BLOCKED)


def costs(found: Mapping[str, object] | Mixture, harmful: float, metric: str = "e2el_ms", arm: str = "g") -> float:
    assert isinstance(found, Mixture)
    tax = at_fraction(found, harmful)[arm][metric].absolute
    assert tax is not None
    return tax.estimate


def shown(found: Mixture, harmful: float) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_mixture(found, harmful, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_costs_are_told_by_outcome() -> None:
    (g,) = mixture(run_of(blocking)).arms.values()
    told = {(e.label, e.what): (e.count, e.share) for e in g.endings}
    assert told == {
        ("benign", "passed"): (24, 1.0),
        ("borderline", "passed"): (8, 1.0),
        ("harmful", "blocked at input"): (4, 0.5),
        ("harmful", "cut in mid-stream"): (4, 0.5),
    }
    by_what = {e.what: e.costs for e in g.endings if e.label != "borderline"}
    # 30 ms and 0 to 3 by block, over baselines whose mean is 10 ms above the first.
    passed, blocked = by_what["passed"]["e2el_ms"], by_what["blocked at input"]["engine_tokens"]
    assert passed is not None and passed.mean == pytest.approx(21.5)
    assert passed.interval is not None
    ends = scipy_stats.t.interval(0.95, 3, 21.5, scipy_stats.sem([20, 21, 22, 23]))
    assert (passed.interval.low, passed.interval.high) == pytest.approx(ends)
    assert blocked is not None and blocked.mean == -40


def test_the_ends_are_the_kinds_own_means_and_the_runs_own_share_its_paired_mean() -> None:
    found = mixture(run_of(blocking))
    by_hand = {  # arm - (first baseline + 10)
        label: np.mean([
            blocking(name, i, b)[0] - plain_fate(name, i, b)[0] - 10
            for b in range(BLOCKS) for i, name in enumerate(LABELS * 2) if (name == "harmful") == (label == "harmful")
        ])
        for label in ("benign", "harmful")
    }  # fmt: skip
    assert costs(found, 0) == pytest.approx(by_hand["benign"])
    assert costs(found, 1) == pytest.approx(by_hand["harmful"])
    everything = [
        blocking(n, i, b)[0] - plain_fate(n, i, b)[0] - 10 for b in range(4) for i, n in enumerate(LABELS * 2)
    ]
    assert found.harmful == pytest.approx(OWN)
    assert costs(found, OWN) == pytest.approx(np.mean(everything))
    assert costs(found, OWN, "engine_tokens") == pytest.approx(OWN * (-40 - 30) / 2)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1), st.lists(st.floats(0, 900), min_size=10 * BLOCKS, max_size=10 * BLOCKS))
def test_the_tax_is_linear_in_the_share(harmful: float, extra_ms: list[float]) -> None:
    def fate(label: str, index: int, block: int) -> Fate:
        service_ms, *others = plain_fate(label, index, block)
        return (service_ms + round(extra_ms[10 * block + index], 3), *others)  # type: ignore[return-value]

    found = mixture(run_of(fate))
    for metric in METRICS:
        ends = costs(found, 0, metric), costs(found, 1, metric)
        assert costs(found, harmful, metric) == pytest.approx((1 - harmful) * ends[0] + harmful * ends[1], abs=1e-6)
    e2el = at_fraction(found, harmful)["g"]["e2el_ms"]
    assert e2el.relative is not None and e2el.baseline is not None and e2el.baseline > 400


def test_relative_is_over_the_baseline_of_the_same_share() -> None:
    """Twice the time for all: +100 % at every share, less the 10 ms of the second baseline."""
    found = mixture(run_of(lambda label, i, b: (2 * plain_fate(label, i, b)[0] + 20, 40, "length", Outcome.PASSED)))
    for harmful in (0.0, 0.3, 1.0):
        relative = at_fraction(found, harmful)["g"]["e2el_ms"].relative
        assert relative is not None and relative.estimate == pytest.approx(1.0)
        assert relative.half_width == pytest.approx(0, abs=1e-9)


def test_without_harmful_requests_only_their_share_of_none_is_measured() -> None:
    found = mixture(run_of(blocking, labels=("benign",) * 5))
    assert "g: not measured: no harmful request in this run" in shown(found, 0.5)
    assert costs(found, 0) == pytest.approx(21.5)
    document = mixture_json(found, 0.5)["arms"]["g"]["tax"]["e2el_ms"]
    assert document["absolute"] is None and document["not_measured"] == "no harmful request in this run"


def test_one_block_has_means_and_no_interval() -> None:
    found = mixture(run_of(blocking, blocks=1))
    assert "1 block(s) with such requests" in shown(found, 0.5)
    cost = found.arms["g"].endings[0].costs["e2el_ms"]
    assert cost is not None and cost.interval is None and cost.mean == pytest.approx(20)


def test_failed_requests_have_no_latency_and_are_counted() -> None:
    """A request that fails in one of the baselines is compared with the other."""

    def failing(label: str, index: int, block: int) -> Fate:
        return (0.0, 0, "", Outcome.ERROR) if index == 0 else plain_fate(label, index, block)

    trials = run_of(failing)
    found = {(e.label, e.what): e for e in mixture(trials).arms["g"].endings}
    assert found["benign", "error"].count == BLOCKS and found["benign", "error"].costs["e2el_ms"] is None
    assert "benign, error" in shown(mixture(trials), 0.1)
    half = [replace(t, table=without_answers(t)) if t.info.arm == "none" and t.info.replicate else t for t in trials]
    assert costs(mixture(half), OWN) == pytest.approx(0)


def without_answers(one: StoredTrial) -> pa.Table:
    zeros = pa.array(np.zeros(one.table.num_rows, dtype=np.int64))
    return one.table.set_column(one.table.schema.get_field_index("first_ns"), "first_ns", zeros)


def test_the_tables_fit_80_columns_say_what_is_not_in_them_and_print_names_as_they_are() -> None:
    def slow(label: str, index: int, block: int) -> Fate:
        service_ms, tokens, finish, outcome = blocking(label, index, block)
        return 100 * service_ms + 997 * block * index, 99 * tokens, finish, outcome

    text = shown(mixture(run_of(slow, arm="[red]evil[/]\n, and as long as a name may be")), 0.02)
    assert "[red]evil" in text.replace("\n", "") and max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert "Tax with 2 % harmful requests (20 % in this run)" in words
    assert "Not in it: what another mix would do to queues and batches" in words
    assert "harmful, cut in mid-stream 4 50 % -515 ±103 0 -30.0 ±0.0" in " ".join(
        shown(mixture(run_of(blocking)), 0.1).split()
    )


def test_arms_come_in_the_order_asked_for_and_json_is_plain() -> None:
    trials = [*run_of(blocking, arm="b"), *(t for t in run_of(plain_fate, arm="a") if t.info.arm == "a")]
    assert list(mixture(trials, ["b", "a"]).arms) == ["b", "a"]
    assert list(mixture(trials).arms) == ["a", "b"]
    document = json.loads(json.dumps(mixture_json(mixture(trials), 0.02), allow_nan=False))
    assert document["harmful_fraction"] == 0.02 and len(document["arms"]["b"]["outcomes"]) == 4


def test_the_columns_named_are_enough(tmp_path: Path) -> None:
    run = create_run(tmp_path, "r", {})
    trials = run_of(blocking)
    for one in trials:
        write_stored(run, one)
    read = [source.load(COLUMNS) for source in read_run(run).sources]
    assert mixture_json(mixture(read), 0.1) == mixture_json(mixture(trials), 0.1)


class OddJudge:
    """Takes 30 ms of virtual time; texts of odd length are unsafe."""

    max_match_chars = 0

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        await asyncio.sleep(0.03)
        return Score(float(len(subject.text) % 2), start_ns, start_ns, now_ns())


def guards(engine: ModelledEngine) -> Mapping[str, Sequence[Guard]]:
    return {"g": [InputClassifier(OddJudge())]}


def relabelled(one: StoredTrial) -> StoredTrial:
    labels = ["harmful" if len(text) % 2 else "benign" for text in one.table["prompt"].to_pylist()]
    place = one.table.schema.get_field_index("label")
    return replace(one, table=one.table.set_column(place, "label", pa.array(labels).dictionary_encode()))


def test_a_guard_that_blocks_what_is_harmful_on_the_modelled_engine() -> None:
    """One user, so that nobody queues: 30 ms for the harmless, the answer's time and tokens back for the others."""
    scenario = load_scenario(Path(__file__).parents[2] / "scenarios" / "quickstart.yaml")
    alone = scenario.model_copy(update={"keep_text": True, "load": scenario.load.model_copy(update={"users": 1})})
    found = mixture([relabelled(one) for one in modelled_run(alone, guards, blocks=3)])
    assert {(e.label, e.what) for e in found.arms["g"].endings} == {
        ("benign", "passed"),
        ("harmful", "blocked at input"),
    }
    assert costs(found, 0) == pytest.approx(30, abs=0.01)
    assert costs(found, 0, "ttft_ms") == pytest.approx(30, abs=0.01)
    assert costs(found, 0, "engine_tokens") == 0
    assert costs(found, 1, "engine_tokens") == -alone.output.max_tokens
    assert costs(found, 1) < -1000
    assert costs(found, 0.25) == pytest.approx(0.75 * costs(found, 0) + 0.25 * costs(found, 1))
