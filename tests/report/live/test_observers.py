"""What a run tells while it is under way, to a terminal, a pipe and a program."""

import asyncio
import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from guards.controls import Delay
from profiler.cli import main
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.experiment import Bench, Experiment
from profiler.meters.meters import open_meters
from profiler.plan import PlannedTrial
from profiler.profile import INTERRUPTED, execute, until_stopped
from profiler.prompts import read_prompt_sets
from profiler.records.store import create_run, read_run
from profiler.report.live.choose import observer
from profiler.report.live.event_console import EventConsole
from profiler.report.live.lines import Lines
from profiler.report.live.outline import outline_of
from profiler.report.live.silent import Silent
from profiler.report.live.view import REFRESH_HZ, View
from profiler.report.saturation import teller
from profiler.resume import going_on
from profiler.saturation.probe import Goal, Probe
from profiler.scenario import Scenario, SloConfig, load_scenario
from profiler.unfinished import unfinished
from tests.report.live.test_state import outline

ROOT = Path(__file__).parents[3]
FAST = ModelParameters(prefill_ns_per_token=1_000, step_base_ns=200_000, step_ns_per_sequence=1_000)


def scenario() -> Scenario:
    return load_scenario(ROOT / "scenarios" / "quickstart.yaml").model_copy(
        update={"arms": {"delay": ["input"]}, "blocks": 2, "warmup_requests": 1, "judge_answers": False}
    )


def run_with(console: Console, folder: Path) -> Path:
    """A run on the modelled engine in real time, as `profile` makes it."""
    made = scenario()

    async def run() -> Path:
        with open_meters() as meters:
            bench = Bench(ModelledEngine(FAST), {"input": Delay(2.0)}, meters)
            said = {
                "id": "u", "facts": {"engine": "modelled"}, "arms": list(made.stacks()), "not_measured": {},
                "scenario": made.model_dump(mode="json"),
            }  # fmt: skip
            path = create_run(folder, "u", said)
            await execute(Experiment(made, read_prompt_sets(made), bench, path), console)
        return path

    return asyncio.run(run())


def written(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_each_console_has_its_own_way() -> None:
    assert isinstance(observer(Console(file=io.StringIO(), quiet=True, force_terminal=True), outline()), Silent)
    assert isinstance(observer(Console(file=io.StringIO(), force_terminal=False), outline()), Lines)
    assert isinstance(observer(Console(file=io.StringIO(), force_terminal=True), outline()), View)
    assert REFRESH_HZ <= 4


def test_a_program_is_told_of_every_trial_and_interval_in_order(tmp_path: Path) -> None:
    stream = io.StringIO()
    console = EventConsole(stream)
    console.print("[bold]read this[/]")
    run = run_with(console, tmp_path)
    events: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == [
        "note", "run_started", *["trial_started", "trial_finished"] * 6, "interval",
    ]  # fmt: skip
    assert events[0]["text"] == "read this"
    assert events[1]["run"] == str(run) and events[1]["trials"] == 6 and events[1]["arms"] == ["none", "delay"]
    assert {"gpu"} <= events[1]["not_measured"].keys() or events[1]["not_measured"] == {}
    finished = [event for event in events if event["event"] == "trial_finished"]
    assert [event["trial"] for event in finished] == list(range(6))
    assert all(event["requests"] == 8 and event["output_tokens_per_s"] > 0 for event in finished)
    assert all(event["ttft_ms"]["mean"] > 0 and event["peak_memory_mib"] > 0 for event in finished)
    guarded = [event for event in finished if event["arm"] == "delay"]
    assert guarded[0]["watts"] is None or guarded[0]["watts"]
    assert finished[0]["seconds_left"] is None and finished[-1]["seconds_left"] is not None
    interval = events[-1]
    low, high = interval["ci95"]
    assert (interval["arm"], interval["metric"], interval["goal"]) == ("delay", "e2el_mean", None)
    assert low <= interval["relative"] <= high


def test_a_quiet_run_says_nothing_and_a_pipe_gets_no_control_sequences(tmp_path: Path) -> None:
    quiet = Console(file=io.StringIO(), quiet=True, force_terminal=True)
    run_with(quiet, tmp_path / "q")
    assert written(quiet) == ""
    piped = Console(file=io.StringIO(), force_terminal=False)
    with Lines(piped, outline()) as lines:
        lines._last_ns = -(10**12)
        lines.trial_started(PlannedTrial(1, 0, "\x1b[2Ja", 0))
    assert written(piped) == "block 1/4 trial 2/12 ?[2Ja 0/10 req 0 tok/s\n"


class Interrupted(View):
    """Presses Ctrl-C in the third trial."""

    def trial_started(self, planned: PlannedTrial) -> None:
        super().trial_started(planned)
        if planned.index == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_leaves_the_terminal_in_order_and_the_rest_can_be_run(tmp_path: Path) -> None:
    console, made = Console(file=io.StringIO(), force_terminal=True, width=80, height=24), scenario()
    sets = read_prompt_sets(made)
    said = {"id": "u", "facts": {}, "arms": [], "not_measured": {}, "scenario": made.model_dump(mode="json")}
    path = create_run(tmp_path, "u", said)

    async def run() -> str | None:
        with open_meters() as meters, Interrupted(console, outline_of(made, path, {})) as view:
            bench = Bench(ModelledEngine(FAST), {"input": Delay(2.0)}, meters)
            return await until_stopped(Experiment(made, sets, bench, path).execute(view), path)

    assert asyncio.run(run()) == INTERRUPTED
    shown = written(console)
    assert "block 1/2 trial" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is there again
    assert shown.rindex("\x1b[2K") > shown.rindex("block 1/2 trial")  # and the view is gone

    again = EventConsole(said_again := io.StringIO())

    async def rest() -> None:
        with open_meters() as meters:
            bench = Bench(ModelledEngine(FAST), {"input": Delay(2.0)}, meters)
            await execute(await going_on(unfinished(path), sets, bench, {}), again)

    asyncio.run(rest())
    stream = said_again
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert events[0]["finished_trials"] == 2
    assert [event["trial"] for event in events if event["event"] == "trial_finished"] == [2, 3, 4, 5]
    # Both blocks count in the interval: what an earlier process stored too.
    assert [event["blocks"] for event in events if event["event"] == "interval"] == [2]
    assert read_run(path).complete


def test_an_error_is_an_event_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--json-progress", "--scenario", "nowhere.yaml"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (event,) = [json.loads(line) for line in said.err.splitlines()]
    assert event["event"] == "error" and "no such scenario file" in event["text"]


@pytest.mark.parametrize("command", ["profile", "sweep", "saturate"])
def test_quiet_and_talkative_is_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--quiet", "--json-progress"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_a_saturation_sweep_tells_of_its_probes() -> None:
    stream = io.StringIO()
    tell = teller(EventConsole(stream), Goal(SloConfig(ttft_ms=500)))
    tell(Probe("a", 2, 3.5, np.array([True, False]), 3.4, "", ""))
    tell(Probe("a", 0, None, np.array([], dtype=bool), 9.0, "", ""))
    probe, closed = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (probe["event"], probe["arm"], probe["rate_hz"], probe["good_share"]) == ("probe_finished", "a", 3.5, 0.5)
    assert closed["rate_hz"] is None and closed["good_share"] is None


def test_a_terminal_that_cannot_show_it_all_takes_no_result_along(tmp_path: Path) -> None:
    ascii_terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=ascii_terminal, force_terminal=True, width=80, height=24)
    assert read_run(run_with(console, tmp_path)).complete
    closed = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with View(closed, outline()):
        closed.file.close()
