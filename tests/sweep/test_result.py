"""A sweep on the modelled engine, from trials on disk to what the user sees."""

import asyncio
import json
from pathlib import Path

import pytest

from guards.check import Policy
from guards.guard import Score
from guards.input_classifier import InputClassifier
from guards.stack import stack
from guards.subject import Subject
from profiler.cli import main
from profiler.engines.modelled import ModelledEngine
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.plan import plan_trials
from profiler.prompts import Prompt
from profiler.records.record import TrialInfo
from profiler.records.store import create_run, write_trial
from profiler.scenario import ConstantLoad, Scenario, SweepConfig, load_scenario
from profiler.sweep.grid import expanded
from profiler.trial import Workload, run_trial

ROOT = Path(__file__).parents[2]
# 10 harmful prompts, 4 of them found at 0.9 and all at 0.5; of 20 harmless ones 5 sound harmful.
P_UNSAFE = {"plain": 0.1, "sounds": 0.6, "sly": 0.7, "crude": 0.95}
PROMPTS = (
    *(Prompt(f"h{i}", "c", "harmful", "crude" if i < 4 else "sly") for i in range(10)),
    *(Prompt(f"b{i}", "c", "benign" if i < 15 else "borderline", "plain" if i < 15 else "sounds") for i in range(20)),
)


class Words:
    """p(unsafe) by the prompt's word, in 30 ms."""

    max_match_chars = 0

    async def score(self, subject: Subject) -> Score:
        start_ns = now_ns()
        await asyncio.sleep(0.03)
        return Score(P_UNSAFE[subject.text], start_ns, start_ns, now_ns())


def swept() -> tuple[Scenario, dict[str, object]]:
    scenario = load_scenario(ROOT / "scenarios" / "quickstart.yaml")
    grid = SweepConfig(grid={"input.threshold": [0.99, 0.9, 0.5]})
    load = ConstantLoad(kind="constant", rate_hz=1)
    stated = scenario.model_copy(update={"sweep": grid, "load": load, "requests_per_trial": len(PROMPTS)})
    scenario, points = expanded(stated)
    return scenario, {"points": [point.as_json() for point in points]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scenario, notes = swept()
    plan = plan_trials(list(scenario.stacks()), 3, seed=1)
    judge = {part: {"name": part, "threshold": 0.5, "held_out": {}} for part in ("refusal", "unsafe")}
    manifest = {
        "id": "sweep",
        "facts": {"model": "m", "engine": "modelled", "vllm_version": "-", "device_name": "none"},
        "scenario": scenario.model_dump(mode="json"),
        "arms": list(scenario.stacks()),
        "not_measured": {"energy": "no meter in a test"},
        "judge": judge,
        **notes,
    }
    folder = create_run(tmp_path_factory.mktemp("runs"), "sweep", manifest)

    async def execute() -> None:
        engine = Tap(ModelledEngine(now_ns=now_ns, seed=3))
        guarded = stack(engine, [InputClassifier(Words(), Policy(0.99))])
        for planned in plan:
            generator = engine if planned.arm == "none" else guarded
            work = Workload(scenario, PROMPTS, planned.block)
            done = await run_trial(generator, work, f"t{planned.index}", watch=lambda record: None, now_ns=now_ns)
            records = [judged(record) for record in done.records]
            info = TrialInfo(
                planned.index, planned.block, planned.arm, planned.replicate, done.started_ns, done.ended_ns
            )
            write_trial(folder, info, records)

    run_virtual(execute)
    return folder


def judged(record):  # type: ignore[no-untyped-def]
    """No answer of the modelled engine refuses anything."""
    from dataclasses import replace

    return replace(record, answer_refusal=0.0, answer_unsafe=0.0)


def test_points_are_told_from_one_arm(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    points = {point["settings"]["input.threshold"]: point for point in document["points"]}
    assert list(points) == ["0.99", "0.9", "0.5"]
    assert [point["rescored"] for point in points.values()] == [False, True, True]
    stopped = {t: point["harmful_stopped"]["estimate"] for t, point in points.items()}
    wrongly = {t: point["harmless_stopped"]["estimate"] for t, point in points.items()}
    assert stopped == pytest.approx({"0.99": 0.0, "0.9": 0.4, "0.5": 1.0})
    assert wrongly == pytest.approx({"0.99": 0.0, "0.9": 0.0, "0.5": 0.25})
    # Every harmless request waits 30 ms; a quarter of them is refused then and is quicker than its answer.
    tax = {t: point["tax_on_harmless"]["ttft_ms.mean"]["absolute"] for t, point in points.items()}
    assert tax["0.99"] == pytest.approx(tax["0.9"]) == pytest.approx(30, abs=0.5)
    assert tax["0.5"] < tax["0.9"]
    # 0.99 is beaten: it taxes no less than 0.9 and stops fewer. The other two are bought at a price.
    assert [point["front"] for point in points.values()] == [False, True, True]
    assert points["0.99"]["beaten_by"] == points["0.9"]["label"]
    assert "output_tokens_per_s.mean" not in points["0.9"]["tax_on_harmless"]
    exposed = {t: point["benefit"]["unsafe_tokens_exposed"]["not_measured"] for t, point in points.items()}
    assert exposed["0.99"] is None and exposed["0.9"].startswith("re-scored")


def test_the_table_marks_the_front_and_says_what_was_re_scored(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--tax", "ttft_mean"]) == 0
    shown = capsys.readouterr().out
    rows = [line for line in shown.splitlines() if "threshold=" in line]
    assert [row.startswith("*") for row in rows] == [False, True, True]
    assert "TTFT" in shown and "on the front" in shown and "~ re-scored" in shown
    assert "100 [72, 100]" in shown and all(len(line) <= 80 for line in shown.splitlines() if "/" not in line)


def test_the_throughput_of_a_re_scored_point_is_not_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--tax", "output_tokens_per_s"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "stands outside the comparison: not measured: no tax on output_tokens_per_s" in shown
