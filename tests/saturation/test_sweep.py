"""A sweep of the modelled engine in virtual time: what is found, stored, stopped and shown."""

import asyncio
import io
import json
import math
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from guards.controls import Doubler
from profiler.cli import main
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.tap import Tap
from profiler.meters.meters import open_meters
from profiler.profile import until_stopped
from profiler.prompts import read_prompt_sets
from profiler.records.store import create_run, read_run
from profiler.report.saturation import print_saturation
from profiler.saturation.probe import RAMP_SHARE, Goal, Probe
from profiler.saturation.result import SaturationResult
from profiler.saturation.search import capacity_of, next_rate_hz
from profiler.saturation.sweep import Sweep, requests_of
from profiler.scenario import BASELINE, SloConfig
from tests.saturation.sweeps import ONE_AT_A_TIME, ROOT, SERVICE_MS, scenario, sweep, swept

# Of a queue with one server, a request is good if it waits for no more than so many others.
SERVICES = 4
QUEUE = Goal(SloConfig(e2el_ms=SERVICE_MS * (SERVICES + 1)), probe_seconds=40.0)
SHORT = Goal(SloConfig(e2el_ms=100.0), probe_seconds=2.5)
TWO_SEATS = replace(ONE_AT_A_TIME, max_num_seqs=2)


def md1_waits_at_most(load: float, services: int) -> float:
    """P(wait <= services * service time) in M/D/1: Erlang 1909."""
    left = [load * (services - i) for i in range(services + 1)]
    return (1 - load) * sum((-x) ** i / math.factorial(i) * math.exp(x) for i, x in enumerate(left))


def md1_capacity_hz(required: float, services: int) -> float:
    """The rate at which just the required share waits no longer."""
    low, high = 0.0, 1.0
    for _ in range(50):
        load = (low + high) / 2
        low, high = (load, high) if md1_waits_at_most(load, services) >= required else (low, load)
    return low * 1000 / SERVICE_MS


def simulated_probe(rate_hz: float, round_: int, seed: int) -> Probe:
    """A probe of an M/D/1 queue, by Lindley's recursion."""
    n, service_s = requests_of(QUEUE, rate_hz), SERVICE_MS / 1000
    arrived = np.cumsum(np.random.default_rng([seed, round_]).exponential(1 / rate_hz, n))
    arrived *= n / rate_hz / arrived[-1]
    work = np.arange(n) * service_s
    ended = np.maximum.accumulate(arrived - work) + work + service_s
    good = ended - arrived <= (SERVICES + 1) * service_s + 1e-9
    return Probe(BASELINE, round_, rate_hz, good[round(RAMP_SHARE * n) :], rate_hz, "", "")


def test_capacities_of_a_queue_are_found_within_the_resolution_and_the_interval_holds_them() -> None:
    truth_hz, covered = md1_capacity_hz(QUEUE.good_fraction, SERVICES), 0
    assert truth_hz == pytest.approx(75.77, abs=0.01)
    for seed in range(10):
        probes = [Probe(BASELINE, 0, None, np.ones(8, dtype=bool), 100.0, "", "")]
        while (rate_hz := next_rate_hz(probes, QUEUE)) is not None:
            probes.append(simulated_probe(rate_hz, len(probes), seed))
        found = capacity_of(probes, QUEUE)
        assert found.estimate_hz == pytest.approx(truth_hz, rel=QUEUE.resolution)
        covered += found.low_hz <= truth_hz <= found.high_hz
    assert covered >= 9


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two requests at a time: a baseline, and a guard that has every answer generated twice."""
    return sweep(tmp_path_factory.mktemp("sweep"), SHORT, {"doubler": (Doubler(),)}, TWO_SEATS)


@pytest.fixture(scope="module")
def found(run: Path) -> SaturationResult:
    return swept(run)


def shown(result: SaturationResult) -> str:
    file = io.StringIO()
    print_saturation(result, Console(width=80, file=file))
    return file.getvalue()


def test_an_engine_that_serves_two_at_a_time_has_its_capacity(found: SaturationResult) -> None:
    capacity = found.arms[BASELINE].capacity
    assert capacity.estimate_hz is not None
    # With a tenth of a second to wait for it, all but all of the 200 requests/s that two seats can serve.
    assert 0.9 * 200 < capacity.estimate_hz < 1.1 * 200
    assert capacity.low_hz < 200 < 1.1 * capacity.high_hz


def test_a_guard_that_doubles_the_tokens_halves_the_capacity(found: SaturationResult) -> None:
    tax = found.arms["doubler"].tax
    assert tax is not None and tax.estimate == pytest.approx(0.5, abs=0.06)
    assert tax.low < tax.estimate < tax.high


def test_an_over_saturated_probe_is_stopped_early_and_said_to_be(tmp_path: Path) -> None:
    # Patient users: only a backlog that grows without end can fail them.
    folder = sweep(tmp_path, Goal(SloConfig(e2el_ms=1e6), probe_seconds=2.0), {}, TWO_SEATS)
    result = swept(folder)
    stopped = [(t.info, t.table.num_rows) for t in read_run(folder).trials if t.info.stopped]
    assert stopped
    for info, finished in stopped:
        assert info.rate_hz is not None and info.rate_hz > 200
        assert info.stopped.startswith("over-saturated: ")
        # What was in flight was aborted in the engine, and the rest was not sent.
        assert info.aborted_requests > 0
        assert finished + info.aborted_requests < requests_of(result.goal, info.rate_hz)
    probes = result.arms[BASELINE].probes
    assert all(not probe.good.any() for probe in probes if probe.stopped)
    capacity = result.arms[BASELINE].capacity
    assert capacity.estimate_hz is not None and 200 < capacity.estimate_hz < 400
    assert "stopped early: requests came faster than they ended" in shown(result)


def test_arms_take_turns_over_the_same_requests(run: Path) -> None:
    trials = read_run(run).trials
    rounds = [t.info.block for t in trials]
    assert rounds == sorted(rounds)
    both = [block for block in set(rounds) if rounds.count(block) == 2]
    assert len(both) > 3
    for block in both:
        mine, other = (t.table["prompt_id"].to_pylist() for t in trials if t.info.block == block)
        assert mine[:5] == other[:5] or len(mine) != len(other)
    orders = {tuple(t.info.arm for t in trials if t.info.block == block) for block in both}
    assert len(orders) == 2


def test_a_probe_lasts_as_long_as_its_requests_at_its_rate(run: Path) -> None:
    for trial in read_run(run).trials:
        if trial.info.rate_hz is not None and not trial.info.stopped:
            due = trial.table["scheduled_ns"].to_pylist()
            assert len(due) / trial.info.rate_hz == pytest.approx((max(due) - trial.info.started_ns) / 1e9, rel=1e-6)


def test_it_fits_80_columns_and_is_shown_again_from_the_records(
    run: Path, found: SaturationResult, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(found)
    assert max(map(len, text.splitlines()[:10])) <= 80
    assert main(["report", str(run), "--format", "json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert main(["saturate", "--report", str(run), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == reported
    arm = reported["arms"]["doubler"]
    assert arm["capacity_hz"] == pytest.approx(reported["arms"][BASELINE]["capacity_hz"] * (1 - arm["capacity_tax"]))
    assert arm["surely_between_hz"][0] <= arm["capacity_hz"]
    assert arm["not_measured"] is None and arm["finished"]


def test_an_interrupted_sweep_keeps_its_probes(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "sweep"))
    for file in sorted((copy / "trials").glob("*.parquet"))[3:]:
        file.unlink()
    text = shown(swept(copy))
    assert "the sweep ended before the search was over for none, doubler" in text
    assert "none (n/m): not measured: the sweep ended before one rate held and another did not" in " ".join(
        text.split()
    )


def test_late_requests_make_a_probe_invalid(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "sweep"))
    file = sorted((copy / "trials").glob("*.parquet"))[5]
    table = pq.read_table(file)
    at = table.schema.get_field_index("sent_ns")
    late = np.asarray(table["scheduled_ns"].to_numpy()) + 11_000_000
    pq.write_table(table.set_column(at, table.schema.field("sent_ns"), [late]), file)
    (copy / "checksums.jsonl").unlink()
    result = swept(copy)
    assert sum(bool(probe.invalid) for arm in result.arms.values() for probe in arm.probes) == 1
    assert any("requests were sent late (lag p99 11.0 ms; allowed: 1 ms, or 10%" in w for w in result.warnings)


def test_an_slo_that_no_rate_meets_is_not_measured(tmp_path: Path) -> None:
    result = swept(sweep(tmp_path, Goal(SloConfig(e2el_ms=9.0), probe_seconds=0.1), {}))
    assert result.arms[BASELINE].capacity.estimate_hz is None
    assert "not measured: the SLO is not met even at" in shown(result)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["saturate", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    "flag, value",
    [("--good-fraction", "0"), ("--good-fraction", "100%"), ("--resolution", "x"), ("--probe-seconds", "0")],
)
def test_a_flag_out_of_range_is_one_line(capsys: pytest.CaptureFixture[str], flag: str, value: str) -> None:
    # No such scenario: whatever breaks, no engine is started.
    assert flag in refused(capsys, "--scenario", "nowhere.yaml", flag, value)


def test_a_scenario_without_slo_says_what_to_add(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    changed: dict[str, Any] = yaml.safe_load((ROOT / "scenarios" / "quickstart.yaml").read_text())
    del changed["slo"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(changed))
    line = refused(capsys, "--scenario", str(path))
    assert "mine.yaml: slo: none stated: add one" in line


def test_a_run_that_is_no_sweep_is_refused(capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "sweep"))
    manifest = json.loads((copy / "run.json").read_text())
    del manifest["kind"]
    (copy / "run.json").write_text(json.dumps(manifest))
    assert "not a saturation sweep" in refused(capsys, "--report", str(copy))


def test_a_probe_is_metered_from_its_first_request_to_its_last(tmp_path: Path) -> None:
    with open_meters(tmp_path / "no powercap") as meters:
        folder = sweep(tmp_path, Goal(SloConfig(e2el_ms=9.0), probe_seconds=0.1), {}, meters=meters)
    trials = read_run(folder).trials
    assert trials
    for trial in trials:
        assert trial.samples is not None and trial.samples.facts["sweeps"] >= 0
        assert trial.info.readings.cpu_s is not None and trial.info.readings.cpu_s >= 0


def test_a_curve_has_rates_below_those_of_the_search() -> None:
    plain, curve = searched_rates(curve=False), searched_rates(curve=True)
    assert curve[: len(plain)] == plain
    assert curve[len(plain) :] == [25.0, 50.0, 65.0, 80.0]


def searched_rates(*, curve: bool) -> list[float]:
    """Of an arm that holds up to 95 requests/s, and 100 with users who wait for their answers."""
    goal = replace(SHORT, curve=curve)
    probes = [Probe(BASELINE, 0, None, np.ones(8, dtype=bool), 100.0, "", "")]
    rates = []
    while (rate_hz := next_rate_hz(probes, goal)) is not None:
        rates.append(rate_hz)
        probes.append(Probe(BASELINE, len(probes), rate_hz, np.full(60, rate_hz <= 95), rate_hz, "", ""))
    return rates


def test_ctrl_c_keeps_the_probes_that_were_finished(tmp_path: Path) -> None:
    told: list[Probe] = []

    def tell(probe: Probe) -> None:
        told.append(probe)
        if len(told) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    async def work() -> str | None:
        engine = ModelledEngine(ModelParameters(prefill_ns_per_token=0, step_base_ns=100_000))
        what = scenario(SloConfig(e2el_ms=1e6))
        goal = Goal(what.slo, probe_seconds=0.05)
        made = Sweep(what, read_prompt_sets(what), goal, engine, {BASELINE: Tap(engine)}, folder)
        return await until_stopped(made.execute(tell), folder)

    folder = create_run(tmp_path, "sweep", {})
    assert asyncio.run(work()) == "interrupted"
    stored = read_run(folder)
    assert [t.info.index for t in stored.trials] == [0, 1]
    assert stored.ending == "interrupted"
