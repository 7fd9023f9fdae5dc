"""Several input classifiers at once, round the modelled engine in virtual time: who waits for whom."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from guards.check import Policy
from guards.config import build_guards
from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.guard import Score
from guards.input_classifier import InputClassifier
from guards.parallel import Parallel
from guards.stack import stack
from guards.subject import Subject
from guards.trace import Stage, Trace
from guards.verdict import Status
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.errors import UserError
from profiler.records.record import Outcome
from profiler.scenario import Scenario, load_scenario
from profiler.trial import outcome_of

ROOT = Path(__file__).parents[2]
SECOND_NS = 10**9


@dataclass
class Scripted:
    """Answers after `wait_ns` with `p_unsafe`, or fails; `cancelled` says whether it was stopped before."""

    wait_ns: int
    p_unsafe: float = 0.0
    error: Exception | None = None
    max_match_chars: int = 0
    cancelled: bool = field(default=False, init=False)

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        try:
            await asyncio.sleep(self.wait_ns / 1e9)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return Score(self.p_unsafe, start_ns, start_ns + self.wait_ns // 4, now_ns())


@dataclass(frozen=True)
class Seen:
    deltas: list[Delta]
    trace: Trace
    waited_ns: int
    """From the request to the first call of the engine, or to the refusal."""

    @property
    def verdicts(self) -> list[str]:
        return [v.guard for v in self.trace.verdicts]

    @property
    def critical_ns(self) -> int:
        return sum(s.end_ns - s.start_ns for s in self.trace.spans if s.critical)


def run(scorers: dict[str, Scripted], policy: Policy | None = None) -> Seen:
    async def work() -> Seen:
        guards = [
            InputClassifier(s, policy or Policy(), refusal=f"no, says {name}", name=name) for name, s in scorers.items()
        ]
        request = GenerationRequest(
            "r", (Message("user", "p"),), Sampling(max_tokens=4, ignore_eos=True), Trace(now_ns)
        )
        start_ns = now_ns()
        deltas = [
            d async for d in stack(Tap(ModelledEngine(now_ns=now_ns)), [Parallel(tuple(guards))]).generate(request)
        ]
        calls = request.trace.engine_calls
        return Seen(deltas, request.trace, (calls[0].sent_ns if calls else deltas[0].emitted_ns) - start_ns)

    return run_virtual(work)


def test_when_all_allow_the_user_waits_for_the_slowest() -> None:
    seen = run({"a": Scripted(2 * SECOND_NS), "b": Scripted(3 * SECOND_NS), "c": Scripted(SECOND_NS)})
    assert seen.waited_ns == seen.critical_ns == 3 * SECOND_NS
    assert seen.verdicts == ["c", "a", "b"]
    assert sum(d.tokens for d in seen.deltas) == 4
    critical = [(s.guard, s.stage) for s in seen.trace.spans if s.critical]
    assert critical == [("b", Stage.QUEUE), ("b", Stage.PREFILL)]
    assert {s.guard for s in seen.trace.spans} == {"a", "b", "c"}


def test_the_first_block_wins_and_the_others_are_cancelled() -> None:
    scorers = {
        "quick": Scripted(SECOND_NS), "slow": Scripted(5 * SECOND_NS, 1.0), "blocks": Scripted(2 * SECOND_NS, 1.0)
    }  # fmt: skip
    seen = run(scorers)
    assert [(d.text, d.finish_reason) for d in seen.deltas] == [("no, says blocks", "blocked")]
    assert seen.waited_ns == seen.critical_ns == 2 * SECOND_NS
    assert seen.verdicts == ["quick", "blocks"]
    assert scorers["slow"].cancelled
    # It worked until then, and what shares the machine with it was slowed.
    slow = [(s.stage, s.end_ns - s.start_ns, s.critical) for s in seen.trace.spans if s.guard == "slow"]
    assert slow == [(Stage.WORK, 2 * SECOND_NS, False)]
    assert seen.trace.engine_calls == []
    assert outcome_of("blocked", seen.trace) is Outcome.BLOCKED


def test_a_failing_check_follows_on_error_and_costs_the_others_nothing() -> None:
    failing = {"bad": Scripted(SECOND_NS, error=ValueError("boom")), "good": Scripted(2 * SECOND_NS)}
    opened = run(failing)
    assert [v.verdict.status for v in opened.trace.verdicts] == [Status.ERROR, Status.OK]
    assert sum(d.tokens for d in opened.deltas) == 4
    closed = run(failing, Policy(on_error="closed"))
    assert [d.text for d in closed.deltas] == ["no, says bad"]
    assert outcome_of("blocked", closed.trace) is Outcome.ERROR


def test_leaving_cancels_every_check() -> None:
    scorers = [Scripted(9 * SECOND_NS), Scripted(8 * SECOND_NS)]

    async def work() -> Trace:
        guard = Parallel(tuple(InputClassifier(s, name=str(i)) for i, s in enumerate(scorers)))
        request = GenerationRequest("r", (Message("user", "p"),), Sampling(), Trace(now_ns))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(stack(ModelledEngine(now_ns=now_ns), [guard]).generate(request))
        return request.trace

    trace = run_virtual(work)
    assert [s.cancelled for s in scorers] == [True, True]
    assert (trace.verdicts, trace.spans) == ([], [])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=5, unique_by=lambda one: one[0]))
def test_the_wait_is_the_fastest_block_or_else_the_slowest_check(checks: list[tuple[int, bool]]) -> None:
    seen = run({f"g{ms}": Scripted(ms * 1_000_000, float(blocks)) for ms, blocks in checks})
    decided_ms = min((ms for ms, blocks in checks if blocks), default=max(ms for ms, _ in checks))
    assert seen.waited_ns == decided_ms * 1_000_000
    assert seen.verdicts == [f"g{ms}" for ms, _ in sorted(checks) if ms <= decided_ms]


def scenario(tmp_path: Path, guards: dict[str, Any], arms: dict[str, Any] | None = None) -> Scenario:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    del loaded["arms"]
    path = tmp_path / "mine.yaml"
    more = {} if arms is None else {"arms": arms}
    path.write_text(yaml.safe_dump(loaded | {"guards": guards} | more, sort_keys=False))
    return load_scenario(path)


WORDS = {"kind": "input-classifier", "scorer": {"kind": "rules", "words": {"w": ["bomb"]}}}
BOTH = {"kind": "parallel", "guards": ["a", "b"]}


def test_a_scenario_names_the_guards_and_none_judges_twice(tmp_path: Path) -> None:
    stated = scenario(tmp_path, {"both": BOTH, "a": WORDS, "b": WORDS, "c": WORDS})
    built = build_guards(stated.guards, None)
    both = built["both"]
    assert isinstance(both, Parallel)
    assert both.guards == (built["a"], built["b"])
    assert list(built) == ["both", "a", "b", "c"]
    assert stated.stacks()["all"] == ("both", "c")
    assert stated.only(["both"]).stacks() == {"none": (), "both": ("both",)}
    assert set(stated.only(["both"]).guards) == {"a", "b", "both"}


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        ({"p": BOTH, "a": WORDS}, "guards.p.guards names the unknown guard `b`: there are p, a"),
        (
            {"p": BOTH, "a": WORDS, "b": {"kind": "output-filter"}},
            "names `b`, a output-filter: only an input-classifier",
        ),
        (
            {"p": BOTH, "a": WORDS, "b": WORDS | {"gating": "monitor"}},
            "`b`, which is monitor: make it `gating: blocking`",
        ),
        ({"p": {"kind": "parallel", "guards": ["a", "a"]}, "a": WORDS}, "names a guard twice"),
    ],
)
def test_what_cannot_judge_at_once_is_refused(tmp_path: Path, guards: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        scenario(tmp_path, guards)
    assert said in str(caught.value)


def test_an_arm_can_say_that_its_guards_judge_at_once(tmp_path: Path) -> None:
    arms = {"both": {"guards": ["a", "b"], "parallel": True}, "one": {"guards": ["a"]}, "other": ["b"]}
    stated = scenario(tmp_path, {"a": WORDS, "b": WORDS}, arms)
    assert stated.stacks() == {"none": (), "both": ("a | b",), "one": ("a",), "other": ("b",)}
    built = build_guards(stated.guards, None)["a | b"]
    assert isinstance(built, Parallel) and [guard.name for guard in built.guards] == ["a", "b"]
    assert load_scenario(tmp_path / "mine.yaml").stacks() == stated.stacks()
    with pytest.raises(UserError, match=r"arms\.both: give a list of guards, or"):
        scenario(tmp_path, {"a": WORDS}, {"both": {"guards": ["a"], "paralel": True}})
