"""Attribution of a stack's tax to its guards: known costs in, what the user reads out."""

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats as scipy_stats

from profiler.analysis.attribution import Attributed, MetricCosts, attributions
from profiler.analysis.metrics import TrialMetrics
from profiler.coalitions import with_coalitions
from profiler.report.attribution import attribution_json, print_attribution

BLOCKS = 4
GUARDS = ("input", "output", "rerank")
# The cost in ms of a set of guards in a block.
Cost = Callable[[frozenset[str], int], float]


def made(arm: str, block: int, e2el_ms: float, replicate: int = 0) -> TrialMetrics:
    """A trial of two requests with this mean E2EL, half as much TTFT, and 100 tokens in 2 s."""
    latency = {
        "e2el_ms": np.array([e2el_ms - 5, e2el_ms + 5]),
        "ttft_ms": np.full(2, e2el_ms / 2),
        "tpot_ms": np.ones(2),
    }
    return TrialMetrics(arm, block, replicate, latency, 2.0, 100, 2, Counter(), 0, None, None, None)


def run_of(stacks: Mapping[str, tuple[str, ...]], cost: Cost, blocks: int = BLOCKS) -> list[TrialMetrics]:
    """Every arm once in each block and the baseline twice, 400 ms and more as blocks go."""
    found = []
    for block in range(blocks):
        level = 400.0 + 37.0 * block
        for arm, guards in stacks.items():
            found.append(made(arm, block, level + (cost(frozenset(guards), block) if guards else 0.0)))
        found.append(made("none", block, level, replicate=1))
    return found


def stacks_of(attribution: str, guards: tuple[str, ...] = GUARDS) -> dict[str, tuple[str, ...]]:
    return with_coalitions({"none": (), "all": guards}, attribution)  # type: ignore[arg-type]


def attributed(cost: Cost, attribution: str = "shapley", guards: tuple[str, ...] = GUARDS) -> MetricCosts:
    stacks = stacks_of(attribution, guards)
    (one,) = attributions(run_of(stacks, cost), stacks, attribution)
    return one.metrics[0]


def shown(found: tuple[Attributed, ...]) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_attribution(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def additive(parts: Mapping[str, float]) -> Cost:
    return lambda guards, block: sum(parts[g] for g in guards) * (1 + block / 10)


@st.composite
def any_costs(draw: st.DrawFn) -> dict[tuple[frozenset[str], int], float]:
    sets = [frozenset(c) for size in (1, 2, 3) for c in combinations(GUARDS, size)]
    return {(s, b): draw(st.floats(-300, 300)) for s in sets for b in range(BLOCKS)}


@settings(max_examples=15, deadline=None)
@given(any_costs())
def test_shares_add_up_to_the_stack_and_are_those_of_all_orders(costs: dict[tuple[frozenset[str], int], float]) -> None:
    found = attributed(lambda guards, block: costs[guards, block])
    shares = {g.guard: g.share for g in found.guards}
    by_order: dict[str, list[float]] = {g: [] for g in GUARDS}  # independent: the average over the 6 orders, by block
    for block in range(BLOCKS):
        value = {frozenset[str](): 0.0, **{s: v for (s, b), v in costs.items() if b == block}}
        for order in permutations(GUARDS):
            for i, guard in enumerate(order):
                by_order[guard].append(value[frozenset(order[: i + 1])] - value[frozenset(order[:i])])
    assert found.stack is not None
    assert sum(s.estimate for s in shares.values() if s) == pytest.approx(found.stack.estimate, abs=1e-9)
    for guard, share in shares.items():
        assert share is not None
        assert share.estimate == pytest.approx(np.mean(by_order[guard]), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.fixed_dictionaries({g: st.floats(0, 500) for g in GUARDS}))
def test_costs_that_add_up_have_no_interaction_and_one_answer(parts: dict[str, float]) -> None:
    found = attributed(additive(parts))
    assert found.interaction is not None
    assert found.interaction.estimate == pytest.approx(0, abs=1e-9)
    for guard in found.guards:
        figures = [guard.alone, guard.left_out, guard.share]
        assert [f.estimate for f in figures if f] == pytest.approx([1.15 * parts[guard.guard]] * 3, abs=1e-9)


def test_intervals_are_t_over_blocks() -> None:
    found = attributed(additive({"input": 10.0, "output": 20.0, "rerank": 30.0}))
    by_block = [60.0 * (1 + b / 10) for b in range(BLOCKS)]
    low, high = scipy_stats.t.interval(0.95, BLOCKS - 1, np.mean(by_block), scipy_stats.sem(by_block))
    assert found.stack is not None
    assert (found.stack.low, found.stack.high) == pytest.approx((low, high))


def test_an_early_block_shows_as_a_negative_interaction() -> None:
    """Two guards of 100 ms each; the second has nothing to do where the first is there."""
    found = attributed(lambda guards, block: 100.0, guards=("a", "b"))
    assert found.interaction is not None and found.interaction.estimate == pytest.approx(-100)
    assert [g.left_out and g.left_out.estimate for g in found.guards] == pytest.approx([0, 0])
    assert [g.share and g.share.estimate for g in found.guards] == pytest.approx([50, 50])


def test_leave_one_out_has_no_shares_and_says_so() -> None:
    stacks = stacks_of("leave-one-out")
    found = attributions(run_of(stacks, additive(dict.fromkeys(GUARDS, 10.0))), stacks, "leave-one-out")
    costs = found[0].metrics[0]
    assert all(g.alone and g.left_out and g.share is None for g in costs.guards)
    assert "Shapley shares: not measured: they need `attribution: shapley`" in shown(found)


def test_a_part_that_was_not_run_is_named_and_the_rest_is_told() -> None:
    stacks = stacks_of("shapley")
    trials = [t for t in run_of(stacks, additive(dict.fromkeys(GUARDS, 10.0))) if t.arm != "input+output"]
    found = attributions(trials, stacks, "shapley")
    costs = found[0].metrics[0]
    assert costs.guards[0].left_out is not None and costs.guards[2].left_out is None
    assert costs.interaction is not None and costs.blocks == BLOCKS
    assert "rerank left out: not measured: no finished trial of input+output" in shown(found)
    assert attribution_json(found)["all"]["metrics"]["e2el_ms.mean"]["guards"]["rerank"]["left_out"] is None


def test_only_blocks_that_every_part_has_count() -> None:
    stacks = stacks_of("shapley", ("a", "b"))
    trials = run_of(stacks, lambda guards, block: 10.0 * len(guards) + 1000.0 * (block == 3))
    without = [t for t in trials if not (t.arm == "a" and t.block == 3)]
    (found,) = attributions(without, stacks, "shapley")
    assert found.metrics[0].blocks == 3
    assert found.metrics[0].stack is not None and found.metrics[0].stack.estimate == pytest.approx(20)


def test_one_block_gives_no_interval() -> None:
    stacks = stacks_of("shapley")
    found = attributions(run_of(stacks, additive(dict.fromkeys(GUARDS, 1.0)), blocks=1), stacks, "shapley")
    assert found[0].metrics[0].stack is None
    assert "E2EL mean, ms: not measured: 1 block(s)" in shown(found)


def test_only_the_largest_stacks_of_different_guards_are_taken_apart() -> None:
    stacks = {
        "none": (),
        "one": ("a",),
        "two": ("a", "b"),
        "three": ("a", "b", "c"),
        "other": ("c", "d"),
        "twice": ("d", "d", "e"),
    }
    assert [one.arm for one in attributions([], stacks, "none")] == ["three", "other"]


def test_the_table_fits_80_columns_and_prints_names_as_they_are() -> None:
    guards = ("[red]evil[/]", "a-guard-with-a-very-long-name-indeed\n", "c")
    stacks = stacks_of("shapley", guards)
    found = attributions(run_of(stacks, lambda s, b: 12345.678 * len(s) + b), stacks, "shapley")
    text = shown(found)
    assert "[red]evil[/]" in text and max(map(len, text.splitlines())) <= 80
    assert "+12347 ±2" in text and "+37039 ±2" in text
    json.dumps(attribution_json(found), allow_nan=False)
