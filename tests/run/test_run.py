"""A run on the modelled engine in virtual time: plan, trials, storage, and the tax that comes out."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from guards.generation import EngineDied, GenerationRequest
from guards.guard import Score
from guards.input_classifier import InputClassifier
from guards.stack import stack
from guards.subject import Subject
from profiler.analysis.tax import analyse
from profiler.cli import main
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.errors import UserError
from profiler.plan import PlannedTrial, plan_trials
from profiler.prompts import draw_workload, read_prompt_sets
from profiler.records.record import Outcome, RequestRecord, TrialInfo
from profiler.records.store import StoredRun, create_run, read_run, write_trial
from profiler.report.as_json import to_json
from profiler.scenario import BASELINE, Scenario, load_scenario
from profiler.trial import Outcomes, Workload, run_trial

ROOT = Path(__file__).parents[2]
DELAY_NS = 50_000_000


class SlowScorer:
    """Takes 50 ms of virtual time and finds every prompt with a bomb in it unsafe."""

    max_match_chars = 0

    async def score(self, subject: Subject) -> Score:
        import asyncio

        start_ns = now_ns()
        await asyncio.sleep(DELAY_NS / 1e9)
        return Score(float("bomb" in subject.text.lower()), start_ns, start_ns, now_ns())


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(ROOT / "scenarios" / "quickstart.yaml")


def nothing(record: RequestRecord) -> None:
    """No progress wanted."""


async def one_trial(scenario: Scenario, block: int, guarded: bool, engine: Any) -> Outcomes:
    prompts = draw_workload(scenario, read_prompt_sets(scenario), block)
    guards = [InputClassifier(SlowScorer())] if guarded else []
    work = Workload(scenario, prompts, block)
    return await run_trial(stack(Tap(engine), guards), work, f"b{block}{guarded}", watch=nothing, now_ns=now_ns)


def stored_run(scenario: Scenario, folder: Path) -> Path:
    plan = plan_trials([BASELINE, "input"], 4, seed=1)
    manifest = {
        "id": "test",
        "facts": {"model": "m", "engine": "modelled", "vllm_version": "-", "device_name": "none"},
        "arms": [BASELINE, "input"],
        "planned_trials": len(plan),
        "not_measured": {"energy": "no meter in a test"},
    }
    run = create_run(folder, "test", manifest)

    async def execute() -> None:
        engine = ModelledEngine(now_ns=now_ns, seed=3)
        for planned in plan:
            found = await one_trial(scenario, planned.block, planned.arm != BASELINE, engine)
            info = TrialInfo(
                planned.index, planned.block, planned.arm, planned.replicate, found.started_ns, found.ended_ns
            )
            write_trial(run, info, found.records)

    run_virtual(execute)
    return run


@pytest.fixture(scope="module")
def original(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_run(scenario, tmp_path_factory.mktemp("original"))


@pytest.fixture
def stored(original: Path, tmp_path: Path) -> Path:
    """A run of the quickstart's scenario on disk, for one test to do with as it likes."""
    return Path(shutil.copytree(original, tmp_path / "test"))


def test_the_plan_runs_each_arm_once_a_block_and_the_baseline_twice() -> None:
    plan = plan_trials(["none", "a", "b"], 20, seed=5)
    for block in range(20):
        members = sorted((t.arm, t.replicate) for t in plan if t.block == block)
        assert members == [("a", 0), ("b", 0), ("none", 0), ("none", 1)]
    orders = {tuple((t.arm, t.replicate) for t in plan if t.block == block) for block in range(20)}
    assert len(orders) > 5
    assert plan == plan_trials(["none", "a", "b"], 20, seed=5)
    assert isinstance(plan[0], PlannedTrial)


def test_a_block_draws_the_same_prompts_again_and_another_block_others(scenario: Scenario) -> None:
    sets = read_prompt_sets(scenario)
    assert draw_workload(scenario, sets, 1) == draw_workload(scenario, sets, 1)
    assert draw_workload(scenario, sets, 1) != draw_workload(scenario, sets, 2)
    labels = [p.label for p in draw_workload(scenario, sets, 1)]
    assert (labels.count("harmful"), labels.count("borderline")) == (2, 1)


def test_a_blocking_delay_is_recovered_in_the_tax(scenario: Scenario, tmp_path: Path) -> None:
    harmless = scenario.model_copy(
        update={"prompts": scenario.prompts.model_copy(update={"harmful_fraction": 0.0, "borderline_fraction": 0.0})}
    )
    result = analyse(read_run(stored_run(harmless, tmp_path)))
    tax = result.arms["input"].tax["ttft_ms.mean"]
    # Staggered by the check, the prefills queue less: the user's tax is the delay less that.
    assert 0 < tax.absolute <= DELAY_NS / 1e6 + 1
    assert result.arms["input"].outcomes["passed"] == result.arms["input"].requests == 32
    assert result.arms["none"].requests == 64


def test_spans_add_up_to_the_delay(scenario: Scenario) -> None:
    async def work() -> Outcomes:
        return await one_trial(scenario, 0, True, ModelledEngine(now_ns=now_ns, seed=3))

    for record in run_virtual(work).records:
        assert sum(s.end_ns - s.start_ns for s in record.spans if s.critical) == DELAY_NS
        if record.outcome is Outcome.PASSED:
            assert record.engine_calls[0].sent_ns - record.sent_ns == DELAY_NS
            assert sum(record.chunk_tokens) == scenario.output.max_tokens


def test_text_is_stored_only_on_request(scenario: Scenario) -> None:
    def texts(keep: bool) -> set[str]:
        changed = scenario.model_copy(update={"keep_text": keep})

        async def work() -> Outcomes:
            return await one_trial(changed, 0, False, ModelledEngine(now_ns=now_ns))

        return {text for record in run_virtual(work).records for text in (record.prompt, record.answer)}

    assert texts(False) == {""}
    assert "" not in texts(True)


def test_json_names_what_was_not_measured(stored: Path) -> None:
    document = to_json(analyse(read_run(stored)))
    arm = document["arms"]["input"]
    assert arm["metrics"]["energy_j_per_token"] is None
    assert arm["not_measured"]["energy_j_per_token"] == "no meter in a test"
    assert arm["metrics"]["ttft_ms"]["p99_bounded"] is False
    assert not [key for key in arm["tax"] if key.endswith("p99")]


def test_a_truncated_trial_is_named_and_left_out(stored: Path) -> None:
    victim = stored / "trials" / "0004.parquet"
    victim.write_bytes(victim.read_bytes()[:200])
    result = analyse(read_run(stored))
    assert any("0004.parquet" in warning for warning in result.warnings)
    assert sum(arm.requests for arm in result.arms.values()) == 11 * 8


def test_a_trial_whose_pages_are_damaged_is_named_and_left_out(stored: Path) -> None:
    victim = stored / "trials" / "0004.parquet"
    content = victim.read_bytes()
    victim.write_bytes(content[:4] + b"\xff" * 2000 + content[2004:])
    result = analyse(read_run(stored))
    assert any("damaged and left out: 0004.parquet" in warning for warning in result.warnings)
    assert not any("trials finished" in warning for warning in result.warnings)
    assert sum(arm.requests for arm in result.arms.values()) == 11 * 8


def test_a_run_with_nothing_readable_is_the_users_to_cure(stored: Path) -> None:
    for file in (stored / "trials").glob("*.parquet"):
        content = file.read_bytes()
        file.write_bytes(content[:4] + b"\xff" * 2000 + content[2004:])
    with pytest.raises(UserError, match="none of its trials can be read"):
        analyse(read_run(stored))


def test_what_is_read_by_column_is_what_is_read_whole(stored: Path) -> None:
    """Columns that the analysis does not name would be missing from a run on disk only."""
    run = read_run(stored)
    in_memory = StoredRun(run.path, run.manifest, run.trials, run.damaged)
    assert to_json(analyse(run)) == to_json(analyse(in_memory))


def test_a_run_from_before_prompt_lengths_is_still_reported(stored: Path) -> None:
    now = analyse(read_run(stored)).arms["input"]
    for file in (stored / "trials").glob("*.parquet"):
        table = pq.read_table(file)
        calls = table["engine_calls"].combine_chunks()
        kept = [f.name for f in calls.type.value_type if f.name not in ("candidates", "prompt_tokens")]
        values = pa.StructArray.from_arrays([calls.values.field(name) for name in kept], names=kept)
        old = pa.ListArray.from_arrays(calls.offsets, values)
        at = table.schema.get_field_index("engine_calls")
        pq.write_table(table.set_column(at, "engine_calls", old), file)
    (stored / "checksums.jsonl").unlink()
    then = analyse(read_run(stored)).arms["input"]
    assert then.tax == now.tax
    assert then.ledger["e2el_ms"].direct == now.ledger["e2el_ms"].direct


def test_a_run_without_its_baseline_says_so(stored: Path) -> None:
    run = read_run(stored)
    alone = StoredRun(run.path, run.manifest, tuple(t for t in run.trials if t.info.arm == "input"), ())
    result = analyse(alone)
    assert any("no finished trial of the baseline" in warning for warning in result.warnings)
    assert result.arms["input"].tax == {}


def test_the_ledger_of_a_run_holds_the_delay_as_direct(stored: Path) -> None:
    arm = analyse(read_run(stored)).arms["input"]
    for ledger in arm.ledger.values():
        assert ledger.direct.contains(DELAY_NS / 1e6)
        parts = (ledger.direct, ledger.induced, ledger.waste, ledger.saved, ledger.residual)
        assert sum(part.estimate for part in parts) == pytest.approx(ledger.measured.estimate)
    assert arm.waste is not None


def test_a_run_that_stopped_early_says_so(stored: Path) -> None:
    for file in sorted((stored / "trials").glob("*.parquet"))[7:]:
        file.unlink()
    written = (stored / "checksums.jsonl").read_text().splitlines()
    (stored / "checksums.jsonl").write_text("".join(f"{line}\n" for line in written[:8]))  # run.json's and 7 trials'
    assert any("7 of 12 trials finished" in warning for warning in analyse(read_run(stored)).warnings)


def test_an_engine_that_dies_ends_the_trial(scenario: Scenario) -> None:
    def fail(request: GenerationRequest) -> Exception | None:
        return EngineDied("gone") if request.request_id.endswith("-3") else None

    async def work() -> Outcomes:
        return await one_trial(scenario, 0, False, ModelledEngine(now_ns=now_ns, fail=fail))

    with pytest.raises(EngineDied):
        run_virtual(work)


def test_a_report_names_the_run_last(scenario: Scenario, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_run(scenario, tmp_path)
    assert main(["report", str(run), "--harmful", "2%"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"See it again: alignment-tax report {run.resolve()}"
