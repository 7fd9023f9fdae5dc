"""`isolation: dedicated` on modelled engines: an engine an arm, with the pool that its guards' memory leaves."""

import asyncio
import io
import json
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
from rich.console import Console

from guards.controls import Delay
from guards.generation import EngineDied, GenerationRequest
from profiler.analysis.displacement import KvDisplacement
from profiler.analysis.tax import RunResult, analyse
from profiler.dedicated import Dedicated, Room
from profiler.engines.engine import EngineCounters
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.errors import UserError
from profiler.experiment import Bench
from profiler.meters.meters import open_meters
from profiler.plan import PlannedTrial, plan_parts
from profiler.profile import manifest, until_stopped
from profiler.prompts import read_prompt_sets
from profiler.records.store import create_run, read_run
from profiler.report.as_json import to_json
from profiler.report.live.lines import Lines
from profiler.report.live.outline import outline_of
from profiler.report.terminal import print_result
from profiler.scenario import Scenario, load_scenario
from tests.run.hold import hold

ROOT = Path(__file__).parents[2]
FAST = ModelParameters(prefill_ns_per_token=1_000, step_base_ns=200_000, step_ns_per_sequence=1_000)
BLOCKS, HELD_MIB = 400, 30


class Pooled(ModelledEngine):
    """With a KV pool of so many blocks of 16 tokens, 1 MiB each; every request in a smaller one is preempted once."""

    def __init__(self, blocks: int, dies_at: str = "") -> None:
        def fail(request: GenerationRequest) -> Exception | None:
            return EngineDied("out of memory") if request.request_id == dies_at else None

        super().__init__(FAST, fail=fail)
        self.blocks, self.preempted = blocks, 0

    @property
    def facts(self) -> Mapping[str, str]:
        pool = {"kv_blocks": self.blocks, "kv_pool_tokens": self.blocks * 16, "kv_pool_bytes": self.blocks << 20}
        said = {"device": "cpu", "vllm_version": "-", "kv_block_tokens": "16"}
        return {**super().facts, **said, **{key: str(value) for key, value in pool.items()}}

    def counters(self) -> EngineCounters:
        found = super().counters()
        tokens, aborted = found.generation_tokens, found.aborted
        preempted = tokens // 24 if self.blocks < BLOCKS else 0
        return EngineCounters(found.running, found.waiting, tokens, aborted, preempted)


@contextmanager
def holding(mib: int) -> Iterator[None]:
    """A guard's process that holds so much memory of its own."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(theirs, mib), name="guard-hold")
    process.start()
    try:
        ours.recv()
        yield
    finally:
        ours.send(None)
        process.join()


class Machine:
    """Opens modelled engines, and remembers for which guards and with which pool."""

    def __init__(self, mib: int = HELD_MIB, dies_at: str = "") -> None:
        self.mib, self.dies_at = mib, dies_at
        self.opened: list[tuple[tuple[str, ...], int]] = []
        self.open = self.most_open = 0

    @asynccontextmanager
    async def __call__(self, scenario: Scenario, room: Room | None) -> AsyncIterator[Bench]:
        async with AsyncExitStack() as resources:
            self.open += 1
            self.most_open = max(self.open, self.most_open)
            resources.callback(self._close)
            if room is not None:
                await room.empty()
            guards = {name: Delay(1.0, name) for name in scenario.guards}
            for _ in guards:
                resources.enter_context(holding(self.mib))
            left = {} if room is None else await room.settings(guards)
            blocks = int(left.get("num_gpu_blocks_override", scenario.engine.get("num_gpu_blocks_override", BLOCKS)))
            self.opened.append((tuple(guards), blocks))
            yield Bench(Pooled(blocks, self.dies_at), guards, resources.enter_context(open_meters()))

    def _close(self) -> None:
        self.open -= 1


def dedicated(**changed: object) -> Scenario:
    scenario = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    update = {"isolation": "dedicated", "arms": {"one": ["input"], "two": ["input", "output"]}, "blocks": 2}
    return scenario.model_copy(update={**update, "warmup_requests": 1, **changed})


class Interrupted(Lines):
    """Presses Ctrl-C when a trial begins."""

    at = 3

    def trial_started(self, planned: PlannedTrial) -> None:
        super().trial_started(planned)
        if planned.index == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def run_on(machine: Machine, scenario: Scenario, folder: Path, shown: type[Lines] = Lines) -> tuple[Path, str | None]:
    async def execute() -> tuple[Path, str | None]:
        sets = read_prompt_sets(scenario)
        plan = Dedicated(scenario, sets, "s.yaml", machine)
        async with AsyncExitStack() as first:
            bench = await first.enter_async_context(plan.baseline())
            run = create_run(folder, "r", {"id": "r", **manifest(scenario, sets, bench)})
            told = shown(Console(file=io.StringIO()), outline_of(scenario, run, {}))
            return run, await until_stopped(plan.execute(run, bench, first.aclose, told), run)

    return asyncio.run(execute())


def printed(result: RunResult) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    print_result(result, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_the_baseline_is_first_and_last_and_every_block_of_an_arm_is_together() -> None:
    parts = list(plan_parts(["none", "a", "b", "c"], 3, seed=4))
    assert [parts[0].arm, parts[-1].arm] == ["none", "none"]
    assert sorted(part.arm for part in parts[1:-1]) == ["a", "b", "c"]
    trials = [trial for part in parts for trial in part.trials]
    assert [trial.index for trial in trials] == list(range(15))
    assert all([trial.block for trial in part.trials] == [0, 1, 2] for part in parts)
    assert [part.trials[0].replicate for part in parts] == [0, 0, 0, 0, 1]
    assert len({tuple(p.arm for p in plan_parts(["none", "a", "b", "c"], 1, seed)) for seed in range(20)}) > 3


def test_each_arm_has_an_engine_of_its_own_with_the_pool_that_its_guards_leave(tmp_path: Path) -> None:
    machine = Machine()
    run, stopped = run_on(machine, dedicated(), tmp_path)
    assert stopped is None
    assert machine.opened[0] == machine.opened[-1] == ((), BLOCKS)
    assert (machine.most_open, machine.open) == (1, 0)  # an engine is stopped before the next one starts
    left = dict(machine.opened[1:-1])
    assert set(left) == {("input",), ("input", "output")}
    result = analyse(read_run(run))
    found = result.displacement
    assert isinstance(found, KvDisplacement) and found.isolation == "dedicated"
    # Each guard's process holds 30 MiB and an interpreter.
    for arm, guards in (("one", ("input",)), ("two", ("input", "output"))):
        one = found.arms[arm]
        assert HELD_MIB * len(guards) <= one.footprint_mib < BLOCKS
        assert BLOCKS - left[guards] == one.blocks == -(-one.footprint_mib // 1)
        assert one.predicted_blocks == one.found_blocks == left[guards]
        assert one.kv_prediction_error == 0
        assert one.requests_lost == pytest.approx(one.tokens / found.request_tokens)
    assert {name: arm.requests for name, arm in result.arms.items()} == {"none": 32, "one": 16, "two": 16}
    # Pairs by block: taxes and a noise floor, though the arms were not interleaved.
    assert "e2el_ms.mean" in result.arms["one"].tax and "e2el_ms.mean" in result.noise_floor
    assert result.arms["none"].preemptions == 0 and result.arms["one"].preemptions > 0
    assert result.arms["one"].tax["preemptions"].absolute > 0


def test_the_report_and_the_json_show_what_was_displaced(tmp_path: Path) -> None:
    run, _ = run_on(Machine(), dedicated(), tmp_path)
    result = analyse(read_run(run))
    text = printed(result)
    for row in ("KV cache that the guards displace", "pool predicted, blocks", "preemptions", "an engine an arm"):
        assert row in " ".join(text.split())
    document = json.loads(json.dumps(to_json(result)))
    assert document["isolation"] == "dedicated"
    assert document["kv_displacement"]["arms"]["one"]["kv_prediction_error"] == 0
    assert document["kv_displacement"]["pool"]["blocks"] == BLOCKS
    assert document["kv_displacement"]["computed"] is False
    assert document["arms"]["one"]["preemptions"] > 0


def test_blocks_that_the_scenario_states_are_left_alone(tmp_path: Path) -> None:
    machine = Machine()
    scenario = dedicated(engine={"num_gpu_blocks_override": 300})
    result = analyse(read_run(run_on(machine, scenario, tmp_path)[0]))
    assert [blocks for _, blocks in machine.opened] == [300] * 4
    assert isinstance(result.displacement, KvDisplacement)
    assert {one.predicted_blocks for one in result.displacement.arms.values()} == {None}
    assert "stated" in printed(result)


def test_guards_that_leave_too_little_are_told_in_one_line_and_what_was_finished_is_kept(tmp_path: Path) -> None:
    said = r"^s.yaml: arm one: its guards hold \d+ MiB, the KV pool is 400 MiB: 0 of 400 blocks would be left"
    with pytest.raises(UserError, match=said) as caught:
        run_on(Machine(BLOCKS + 5), dedicated(arms={"one": ["input"]}), tmp_path)
    assert "\n" not in str(caught.value)
    run = read_run(tmp_path / "r")
    assert [source.info.arm for source in run.sources] == ["none", "none"]
    assert run.ending == str(caught.value)


def test_an_engine_that_dies_in_an_arm_ends_the_run_and_what_was_finished_is_reported(tmp_path: Path) -> None:
    run, stopped = run_on(Machine(dies_at="t3-2"), dedicated(), tmp_path)
    assert stopped == "out of memory"
    found = read_run(run)
    assert [source.info.index for source in found.sources] == [0, 1, 2]
    assert found.ending == "out of memory" and len(found.parts) == 1
    assert any("3 of 8 trials finished" in warning for warning in analyse(found).warnings)


def test_ctrl_c_ends_the_run_in_order_and_what_was_finished_is_reported(tmp_path: Path) -> None:
    machine = Machine()
    run, stopped = run_on(machine, dedicated(), tmp_path, Interrupted)
    assert stopped == "interrupted" and len(machine.opened) == 2
    found = read_run(run)
    assert [source.info.index for source in found.sources] == [0, 1, 2]
    assert found.ending == "interrupted"
    assert multiprocessing.active_children() == []
    assert "KV cache that the guards displace" in printed(analyse(found))


def test_a_stopping_rule_has_no_place_in_a_dedicated_run() -> None:
    raw = load_scenario(ROOT / "scenarios" / "quickstart.yaml").model_dump(mode="json")
    until = {"metric": "e2el_mean", "half_width": 0.02}
    with pytest.raises(ValueError, match="isolation: dedicated"):
        Scenario.model_validate({**raw, "isolation": "dedicated", "until": until})
