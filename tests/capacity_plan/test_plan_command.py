"""`alignment-tax plan` on a stored sweep whose capacities are known: what is printed, and what is refused."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profiler.analysis.arm_resources import ArmResources, Energy
from profiler.analysis.fleet import SPARE_REPLICAS
from profiler.analysis.percentiles import Objective
from profiler.analysis.power_at_rate import Power
from profiler.capacity_plan.arm import energy_of
from profiler.capacity_plan.asked import Asked
from profiler.capacity_plan.capacity import percentile_capacity
from profiler.capacity_plan.elsewhere import energy_elsewhere
from profiler.cli import main
from profiler.commands.stored import finished_run
from profiler.commands.stored import profiled as analysed
from profiler.saturation.probe import Goal
from profiler.scenario import SloConfig
from tests.capacity_plan.stored_sweep import LIMITS, SLO, SLO_MS, TRUTH, stored_sweep
from tests.gate.stored import GUARD, stored_run
from tests.saturation.sweeps import sweep as swept

RATE, HEADROOM = 100.0, 0.3
P99 = Objective("ttft_ms", 0.99, 250.0)


def replicas(capacity_hz: float, rate_hz: float = RATE) -> int:
    return math.ceil(rate_hz / (capacity_hz * (1 - HEADROOM))) + SPARE_REPLICAS


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guard halves the capacity; a card draws 100 W and 10 W more for each request/s."""
    return stored_sweep(tmp_path_factory.mktemp("plan") / "sweep", watts=lambda rate: 100 + 10 * rate, idle_w=100.0)


def planned(run: Path | list[Path], *flags: str, rate: str = "100") -> tuple[str, ...]:
    runs = run if isinstance(run, list) else [run]
    return "plan", *map(str, runs), "--rate", rate, "--slo", SLO, "--headroom", "30%", *flags


def as_json(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> Any:
    assert main([*arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def as_text(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> str:
    """What is printed, in one line."""
    assert main(arguments) == 0
    return " ".join(capsys.readouterr().out.split())


def test_each_arm_has_its_capacity_and_its_replicas(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, planned(sweep))
    assert (found["schema"], found["kind"], found["unit"]) == (1, "plan", "GPU")
    for arm, limit in LIMITS.items():
        truth, capacity = TRUTH * limit, found["arms"][arm]["capacity"]
        assert capacity["state"] == "measured" and capacity["bound"] == "ttft_p99" and capacity["interpolated"]
        assert capacity["rate_hz"] == pytest.approx(truth, rel=0.04)
        assert (capacity["held_hz"], capacity["missed_hz"]) == (0.76 * limit, 0.84 * limit)
        assert capacity["ci95"][0] <= truth <= capacity["ci95"][1]
        fleet = found["arms"][arm]["fleet"]
        low, high = fleet["replicas"]["ci95"]
        assert low <= replicas(truth) <= high and low <= fleet["replicas"]["estimate"] <= high
        assert fleet["gpu_hours_a_day"]["estimate"] == 24 * fleet["gpus"]["estimate"]


def test_the_difference_is_of_the_draws(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, planned(sweep, rate="1000"))
    low, high = found["arms"]["guard"]["more"]["gpus"]["ci95"]
    true = replicas(TRUTH * LIMITS["guard"], 1000) - replicas(TRUTH * LIMITS["none"], 1000)
    assert low <= true <= high
    mine, base = (found["arms"][arm]["fleet"]["gpus"]["ci95"] for arm in ("guard", "none"))
    # Subtracting the ends of two intervals would be wider.
    assert high - low < (mine[1] - base[0]) - (mine[0] - base[1])


def test_the_sentence_and_the_table_fit_80_columns(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(planned(sweep, "--gpu-cost", "2.50/h", "--kwh", "0.12")) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines()[:-1])) <= 80
    said = " ".join(text.split())
    assert "guard: costs you 9 more GPUs (" in said or "guard: costs you 8 more GPUs (" in said
    assert "guard: TTFT p99 is what ends it, held at 7.6 and missed at 8.4 requests/s." in said
    assert "cost a million output tokens" in said and "kWh a million requests" in said


def test_markdown_has_the_same(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*planned(sweep), "--format", "markdown"]) == 0
    page = capsys.readouterr().out
    assert "| arm | requests/s a replica | replicas | GPUs | GPU-hours a day |" in page
    assert "more GPUs (" in page


def test_cost_and_energy_are_those_of_the_whole_fleet(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, planned(sweep, "--gpu-cost", "2.50/h", "--kwh", "0.12"))
    fleet = found["arms"]["none"]["fleet"]
    gpus = fleet["gpus"]["estimate"]
    kwh = (gpus * 100 + 10 * RATE) / RATE / 3.6e6 * 1e6
    assert fleet["energy"]["kwh_per_million_requests"]["estimate"] == pytest.approx(kwh)
    assert fleet["energy"]["kwh_per_million_tokens"]["estimate"] == pytest.approx(kwh / 20)
    cost = gpus * 2.50 / 3600 / RATE * 1e6 + 0.12 * kwh
    assert fleet["cost_per_million_requests"]["estimate"] == pytest.approx(cost)
    assert fleet["cost_per_million_tokens"]["estimate"] == pytest.approx(cost / 20)


def test_power_is_not_read_outside_the_rates_that_were_metered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0}, watts=lambda rate: 100 + 10 * rate)
    energy = as_json(capsys, planned(run, rate="1"))["arms"]["none"]["fleet"]["energy"]
    assert energy["kwh_per_million_requests"] is None
    assert energy["not_measured"] == "a replica would do 0.5 requests/s, and power was metered from 4 to 18.4"


def test_without_a_meter_energy_is_not_measured_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = {"gpu": "NVML: no driver: install one"}
    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0}, changed={"not_measured": absent})
    text = as_text(capsys, planned(run, "--kwh", "0.12"))
    assert "Energy (n/m): not measured: NVML: no driver: install one; the cost is without energy." in text


def test_memory_that_guards_hold_is_said_in_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Blocks of 1 MiB and 100 tokens; a request has 30 of prompt and 20 of answer.
    facts = {
        "model": "m", "engine": "vllm", "vllm_version": "0.32.0", "device": "cpu", "device_name": "a cpu",
        "kv_blocks": "1000", "kv_pool_tokens": "100000", "kv_pool_bytes": str(1000 << 20),
    }  # fmt: skip
    run = stored_sweep(
        tmp_path / "sweep", limits={"none": 20.0}, watts=lambda rate: 100.0, changed={"facts": facts}, requests=300
    )
    text = as_text(capsys, planned(run))
    assert "memory, all guards together: 200.0 of 2000.0 requests (10.0% of the KV pool)." in text
    assert "machine-hours a day" in text and "GPU" not in text
    assert as_json(capsys, planned(run))["memory"]["arms"]["all guards"]["requests_lost"] == 200


def test_cards_of_a_replica_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_sweep(
        tmp_path / "sweep",
        engine={"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
        changed={"placements": {"guard": "cuda:1+cuda:5"}},
    )
    arms = as_json(capsys, planned(run))["arms"]
    for arm, cards in (("none", 4), ("guard", 5)):
        fleet = arms[arm]["fleet"]
        assert fleet["gpus_per_replica"] == cards
        assert fleet["gpus"]["estimate"] == cards * fleet["replicas"]["estimate"]


def test_where_no_rate_missed_the_answer_is_a_bound(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("plan", str(sweep), "--rate", "100", "--slo", "ttft_p99=10s")
    found = as_json(capsys, arguments)
    capacity = found["arms"]["none"]["capacity"]
    assert (capacity["state"], capacity["rate_hz"]) == ("at least", pytest.approx(0.92 * 20))
    low, high = found["arms"]["none"]["fleet"]["replicas"]["ci95"]
    assert low is None and high == math.ceil(100 / (0.92 * 20)) + SPARE_REPLICAS
    text = as_text(capsys, arguments)
    assert "none: at least 18.4 requests/s: no rate tried missed the SLO." in text
    assert "at most 7" in text
    assert "guard: difference to none not measured: no rate tried missed the SLO" in text


def test_where_the_highest_rate_may_have_held_the_fleet_has_no_lower_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of 600 requests 1.1 % are too slow at the highest rate: more than is allowed, by chance perhaps.
    run = stored_sweep(tmp_path / "sweep", shares=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8011), watts=lambda rate: 100 + 10 * rate)
    flags = ("--gpu-cost", "2.50/h", "--kwh", "0.12")
    arm = as_json(capsys, planned(run, *flags))["arms"]["guard"]
    fleet = arm["fleet"]
    assert arm["capacity"]["state"] == "measured" and arm["capacity"]["ci95"][1] is None
    for figure in (fleet["gpus"], fleet["cost_per_million_tokens"], fleet["energy"]["kwh_per_million_requests"]):
        assert figure["ci95"][0] is None and figure["ci95"][1] >= figure["estimate"]
    # Neither is known to need few: their difference is open at both ends.
    assert arm["more"]["gpus"]["ci95"] == [None, None]


def test_a_baseline_that_never_missed_bounds_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The baseline is three times faster than its rates would have it.
    run = stored_sweep(tmp_path / "sweep", scale=lambda arm, share, harmful: 0.3 if arm == "none" else 1.0)
    more = as_json(capsys, planned(run))["arms"]["guard"]["more"]
    assert more["bound"] == "at least" and more["gpus"] is None
    sure = replicas(0.84 * 10) - replicas(0.92 * 20)
    assert sure <= more["bound_gpus"] <= replicas(TRUTH * 10) - replicas(0.92 * 20)
    assert f"costs you at least {more['bound_gpus']} more GPUs than none" in as_text(capsys, planned(run))


def test_where_every_rate_misses_there_is_no_capacity(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = as_text(capsys, ("plan", str(sweep), "--rate", "100", "--slo", "ttft_p99=40ms"))
    assert (
        "none (n/m): not measured: TTFT p99 is above 40 ms even at 4 requests/s, the lowest rate tried: run "
        "`alignment-tax saturate --curve --good-fraction 99%` with `slo: {ttft_ms: 40}`"
    ) in text


def test_objectives_hold_each_by_itself(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Every answer takes 52.6 ms a token, at any rate.
    kept = as_json(capsys, ("plan", str(sweep), "--rate", "9", "--slo", f"{SLO},tpot_p99=53ms"))
    assert kept["arms"]["none"]["capacity"]["bound"] == "ttft_p99"
    text = as_text(capsys, ("plan", str(sweep), "--rate", "9", "--slo", f"{SLO},tpot_p99=52ms"))
    assert "TPOT p99 is above 52 ms even at 4 requests/s" in text
    assert "Queueing check of none, TPOT p99 in ms" in text


def test_where_curve_and_measurement_part_nothing_is_read_between_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cliff(arm: str, share: float, harmful: bool) -> float:
        """At 0.76, the highest rate that holds, the latency is a third of what the other rates foretell."""
        return 0.33 if share == 0.76 else 1.0

    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0}, scale=cliff)
    found = as_json(capsys, planned(run))["arms"]["none"]
    assert not found["capacity"]["interpolated"]
    assert found["capacity"]["rate_hz"] == found["capacity"]["held_hz"] == pytest.approx(15.2)
    parted = [rate["rate_hz"] for rate in found["checks"]["ttft_p99"]["rates"] if rate["parts"]]
    assert 15.2 in parted
    text = as_text(capsys, planned(run))
    assert "held at 15.2 and missed at 16.8 requests/s; nothing is read between them (see the check)." in text
    assert "parts" in text


def test_too_few_rates_are_not_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0}, shares=(0.5, 0.7, 0.9))
    assert "3 rates without a growing backlog: a check needs 5" in as_text(capsys, planned(run))
    assert not as_json(capsys, planned(run))["arms"]["none"]["capacity"]["interpolated"]


def test_another_mix_counts_each_label_by_its_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Harmful requests wait three times as long, for the same work.
    run = stored_sweep(
        tmp_path / "sweep", limits={"none": 20.0}, harmful=0.3, scale=lambda arm, share, bad: 3.0 if bad else 1.0
    )
    own = as_json(capsys, planned(run))["arms"]["none"]["capacity"]["rate_hz"]
    few = as_json(capsys, planned(run, "--harmful", "0.1%"))["arms"]["none"]["capacity"]["rate_hz"]
    assert own == pytest.approx(20 * (1 - 3 * 0.967 * 50 / SLO_MS), rel=0.06)
    assert few == pytest.approx(20 * TRUTH, rel=0.06)
    assert "assumed that a request of either label is as much work" in as_text(capsys, planned(run, "--harmful", "2%"))


def test_a_guard_that_blocks_early_is_not_reweighted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_sweep(tmp_path / "sweep", harmful=0.3, blocking=("guard",))
    arms = as_json(capsys, planned(run, "--harmful", "2%"))["arms"]
    assert arms["none"]["capacity"]["state"] == "measured" and arms["guard"]["fleet"] is None
    text = as_text(capsys, planned(run, "--harmful", "2%"))
    assert "guard (n/m): not measured: at 0.02 harmful the engine has +40 % tokens generated a request" in text
    assert "and `prompts: {harmful_fraction: 0.02}`" in text


def test_a_sweep_without_harmful_requests_cannot_tell(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not measured: no harmful request in this sweep" in as_text(capsys, planned(sweep, "--harmful", "2%"))


def trace(path: Path, per_minute: Mapping[int, int], minutes: int) -> Path:
    """So many requests, evenly spaced, in the minutes named, and one in each other."""
    rows = [
        f"{60 * minute + 60 * i / n},100,20"
        for minute in range(minutes)
        for n in [per_minute.get(minute, 1)]
        for i in range(n)
    ]
    path.write_text("\n".join(["timestamp,prompt_tokens,output_tokens", *rows, f"{60 * minutes},100,20"]) + "\n")
    return path


def test_a_trace_is_served_at_its_busiest_minute(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trace(tmp_path / "trace.csv", {30: 600, 90: 3000}, 180)
    arguments = ("plan", str(sweep), "--traffic", str(path), "--slo", SLO)
    found = as_json(capsys, arguments)
    assert found["asked"]["serve_rate_hz"] == pytest.approx(50, rel=0.01)
    over = found["arms"]["none"]["fleet"]["over_trace"]
    # 10, 50 and 1/60 requests/s of 16 a replica, and a spare one.
    assert over["replicas_by_hour"] == [2, 5, 2]
    low, high = found["arms"]["none"]["fleet"]["replicas"]["ci95"]
    assert 4 <= low <= 5 <= high <= 6
    assert over["gpu_hours_scaled"]["estimate"] == 9
    assert over["gpu_hours_peak"]["estimate"] == 15
    text = as_text(capsys, arguments)
    assert "Replicas by hour: 2 5 2" in text and "GPU-hours scaled by the hour, 15 (" in text
    doubled = as_json(capsys, (*arguments, "--rate", str(2 * found["asked"]["mean_rate_hz"])))
    assert doubled["asked"]["serve_rate_hz"] == pytest.approx(2 * found["asked"]["serve_rate_hz"])


def test_a_profiled_run_adds_what_the_sweep_has_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"model": "m", "engine": "vllm", "vllm_version": "0.32.0", "device": "cuda", "device_name": "a gpu"}
    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0})
    other = stored_run(tmp_path / "profiled", {"none": 100.0}, changed={"facts": facts})
    assert as_json(capsys, planned([run, other]))["other_runs"][0]["id"] == "profiled"
    stranger = stored_run(tmp_path / "stranger", {"none": 100.0}, changed={"facts": facts | {"device_name": "b"}})
    assert "device_name b, and the sweep's is a gpu" in refused(capsys, *planned([run, stranger]))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_profiled_run_alone_names_the_command_that_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored_run(tmp_path / "profiled", {"none": 100.0, "guard": 150.0})
    line = refused(capsys, *planned(run))
    assert "has one load (closed; requests/s: none 10, guard 10), so no capacity" in line
    assert "run `alignment-tax saturate --curve --good-fraction 99%` with `slo: {ttft_ms: 250}`, and add" in line


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--rate", "0", "--slo", SLO), "--rate: 0 is no number above 0: write 200"),
        (("--rate", "nan", "--slo", SLO), "--rate: nan is no number above 0"),
        (("--rate", "x", "--slo", SLO), "--rate: x is no number above 0"),
        (("--slo", SLO), "--rate: how many requests/s?"),
        (("--rate", "1", "--slo", ""), "--slo: no objective: write ttft_p99=500ms"),
        (("--rate", "1", "--slo", "ttft_p99"), "--slo: 'ttft_p99' is no objective"),
        (("--rate", "1", "--slo", "tftt_p99=1s"), "--slo: no metric 'tftt_p99': did you mean `ttft_p99`?"),
        (("--rate", "1", "--slo", "ttft_mean=1s"), "--slo: no metric 'ttft_mean'"),
        (("--rate", "1", "--slo", "ttft_p99=fast"), "--slo: ttft_p99: 'fast' is no time above 0: write ttft_p99=500ms"),
        (("--rate", "1", "--slo", "ttft_p99=250"), "ttft_p99: 250 has no unit: write ttft_p99=250ms or ttft_p99=250s"),
        (("--rate", "1", "--slo", "ttft_p99=0ms"), "--slo: ttft_p99: '0ms' is no time above 0"),
        (("--rate", "1", "--slo", "ttft_p0=1s"), "--slo: ttft_p0: a percentile lies between 0 and 100"),
        (("--rate", "1", "--slo", "ttft_p99=1s,ttft_p99=2s"), "--slo: ttft_p99 is given twice"),
        (("--rate", "1", "--slo", SLO, "--headroom", "100%"), "--headroom: 100% leaves nothing to serve with"),
        (("--rate", "1", "--slo", SLO, "--headroom", "x"), "--headroom: 'x' is no share"),
        (("--rate", "1", "--slo", SLO, "--harmful", "120%"), "--harmful: 120% is not between 0 and 100 %"),
        (("--rate", "1", "--slo", SLO, "--gpu-cost", "2.50/day"), "--gpu-cost: 2.50/day is no price: write 2.50/h"),
        (("--rate", "1", "--slo", SLO, "--gpu-cost", "0"), "--gpu-cost: 0 is no number above 0"),
        (("--rate", "1", "--slo", SLO, "--kwh", "EUR"), "--kwh: EUR is no price: write 0.12"),
        (("--slo", SLO, "--traffic", "nowhere.csv"), "nowhere.csv: cannot be read"),
    ],
)
def test_a_mistake_is_one_line(
    sweep: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    assert told in refused(capsys, "plan", str(sweep), *flags)


def test_a_short_trace_two_sweeps_and_no_run_are_one_line(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short.csv"
    path.write_text("timestamp,prompt_tokens,output_tokens\n0,1,1\n30,1,1\n")
    assert "a busiest minute needs a trace of 60 s or more" in refused(
        capsys, "plan", str(sweep), "--slo", SLO, "--traffic", str(path)
    )
    assert "both saturation sweeps: name one" in refused(capsys, *planned([sweep, sweep]))
    assert "no run there" in refused(capsys, *planned(tmp_path / "nowhere"))


def test_names_of_a_run_do_nothing_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J[red]x"
    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0, evil: 10.0}, requests=200)
    assert main(planned(run)) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text and "?[2J[red]x" in text.replace("\n", "")


def test_a_capacity_without_an_upper_end_bounds_no_difference_from_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The guard's highest rate may have held; the baseline, three times faster, never missed.
    run = stored_sweep(
        tmp_path / "sweep",
        shares=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8011),
        scale=lambda arm, share, harmful: 0.3 if arm == "none" else 1.0,
    )
    more = as_json(capsys, planned(run))["arms"]["guard"]["more"]
    assert more["bound"] is None and more["gpus"] is None
    assert more["not_measured"].startswith("too few requests: the capacity that was measured has no upper end: run `")


def test_a_bound_that_does_not_tell_more_from_fewer_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The baseline held all of its rates, but these are a tenth of the guard's.
    run = stored_sweep(
        tmp_path / "sweep",
        limits={"none": 1.0, "guard": 10.0},
        scale=lambda arm, share, harmful: 0.3 if arm == "none" else 1.0,
    )
    more = as_json(capsys, planned(run))["arms"]["guard"]["more"]
    assert more["bound"] is None and more["bound_gpus"] is None
    assert "it may cost fewer or more: no rate tried missed the SLO on the baseline" in more["sentence"]
    assert "at least -" not in as_text(capsys, planned(run))


def test_a_saving_that_is_a_bound_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_sweep(
        tmp_path / "sweep",
        limits={"none": 1.0, "guard": 10.0},
        scale=lambda arm, share, harmful: 0.3 if arm == "guard" else 1.0,
    )
    more = as_json(capsys, planned(run))["arms"]["guard"]["more"]
    assert more["bound"] == "at most" and more["bound_gpus"] < 0
    assert more["sentence"] == f"saves you at least {-more['bound_gpus']} GPUs against none"


def test_costs_of_an_arm_that_never_missed_are_bounds(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("plan", str(sweep), "--rate", "100", "--slo", "ttft_p99=10s", "--gpu-cost", "2.50/h", "--kwh", "0.12")
    fleet = as_json(capsys, arguments)["arms"]["none"]["fleet"]
    energy, cost = fleet["energy"]["kwh_per_million_requests"], fleet["cost_per_million_requests"]
    assert energy["ci95"][0] is None and cost["ci95"][0] is None
    text = as_text(capsys, arguments)
    for one in (energy, cost):
        high = one["ci95"][1]
        assert f"at most {high:.0f}" in text or f"at most {high:.3g}" in text
    assert "[?" not in text


def test_what_the_prices_are_of_is_said(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = as_text(capsys, planned(sweep, "--gpu-cost", "2.50/h", "--kwh", "0.12"))
    assert "Cost of hardware, and of energy where measured." in both
    assert ") of hardware, without energy" in both
    assert "Cost of hardware alone." in as_text(capsys, planned(sweep, "--gpu-cost", "2.50/h"))
    energy = as_text(capsys, planned(sweep, "--kwh", "0.12"))
    assert "Cost of energy alone: hardware is not in it (--gpu-cost)." in energy


def test_a_command_to_run_has_one_limit_a_metric_and_all_its_flags(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = as_text(capsys, ("plan", str(sweep), "--rate", "9", "--slo", "ttft_p99=40ms,ttft_p50=1ms"))
    assert "with `slo: {ttft_ms: 1}`" in text
    few = as_text(capsys, planned(stored_sweep(tmp_path / "few", limits={"none": 20.0}, requests=1, shares=(0.5, 0.9))))
    assert "none (n/m): not measured: 1 request(s) at 18 requests/s" in few
    assert "run `alignment-tax saturate --curve --good-fraction 99% --probe-seconds" in few
    assert few.count("run `") == 1 and "with `slo: {ttft_ms: 250}`" in few


def test_memory_that_the_baseline_lacked_too_is_said_beside_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {
        "model": "m", "engine": "vllm", "vllm_version": "0.32.0", "device": "cpu", "device_name": "a cpu",
        "kv_blocks": "1000", "kv_pool_tokens": "100000", "kv_pool_bytes": str(1000 << 20),
    }  # fmt: skip
    run = stored_sweep(tmp_path / "sweep", watts=lambda rate: 100.0, changed={"facts": facts})
    said = "the 10.0% of the KV pool that resident guards displace was missing in none's probes too"
    assert said in as_text(capsys, planned(run))
    assert said in as_json(capsys, planned(run))["arms"]["guard"]["more"]["sentence"]


@pytest.mark.parametrize("high", [1.2, math.inf])
def test_energy_of_uncertain_counters_is_an_interval(high: float) -> None:
    found = percentile_capacity([], [P99], None, (1,))
    measured = replace(found, state="measured", hz=10.0, draws_hz=np.full(2000, 10.0))
    powers = [Power(rate, 100.0, -0.5, high, "gpu") for rate in (0.0, 10.0)]
    energy = energy_of(powers, Asked((P99,), 10.0), 2.0, measured, np.full(2000, 2.0), 20.0)
    assert energy.kwh_per_mrequests is not None
    assert energy.kwh_per_mrequests.low == 0 and energy.kwh_per_mrequests.high > energy.kwh_per_mrequests.estimate
    open_ = replace(measured, draws_hz=np.full(2000, math.inf))
    energy = energy_of([replace(one, low=0.0) for one in powers], Asked((P99,), 10.0), 2.0, open_, np.ones(2000), 20.0)
    assert energy.kwh_per_mrequests is not None and energy.kwh_per_mrequests.low == -math.inf


def test_power_belongs_to_the_requests_of_its_window(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 750 requests at 18.4/s take 40.8 s, and the window 20 s more.
    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0}, watts=lambda rate: 100 + 10 * rate, drain_s=20.0)
    energy = as_json(capsys, planned(run, rate="1"))["arms"]["none"]["fleet"]["energy"]
    assert energy["not_measured"].endswith("power was metered from 3.61 to 12.3")


def test_what_an_empty_engine_does_is_said(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = as_text(capsys, planned(sweep))
    assert "Each probe starts from an empty engine, so capacities read high" in text
    assert "before the batch was full" not in text
    # Answers take 1.2 s and more; a fifth of 50 requests arrives in less.
    short = stored_sweep(tmp_path / "short", limits={"none": 20.0}, requests=50)
    notes = as_json(capsys, ("plan", str(short), "--rate", "9", "--slo", "ttft_p50=250ms"))["arms"]["none"]["capacity"]
    (note,) = [one for one in notes["notes"] if "before the batch was full" in one]
    assert "only the first 0.595 s of the probe are not counted" in note
    assert "run `alignment-tax saturate --curve --good-fraction 50% --probe-seconds" in note


def test_another_mix_says_how_much_the_work_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_sweep(tmp_path / "sweep", harmful=0.05, blocking=("guard",))
    near, far = (as_text(capsys, planned(run, "--harmful", share)) for share in ("4%", "1%"))
    # By chance the counted requests are not 5 % harmful to the digit.
    assert re.search(r"guard: at 4 % harmful a request is other work by \+[01]\.\d % tokens generated, \+", near)
    assert "guard (n/m): not measured: at 0.01 harmful the engine has +4 % tokens generated a request" in far


def of_energy(j_per_token: float) -> ArmResources:
    energy = Energy(1.0, j_per_token, None, None, None, 20 * j_per_token, *(None,) * 2, 1.0, *(None,) * 4)
    return ArmResources({"gpu": energy}, {}, {}, {}, {}, {}, {})


def test_arms_of_other_runs_are_those_with_the_same_guards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        "model": "m", "engine": "vllm", "vllm_version": "0.32.0", "device": "cuda", "device_name": "a gpu",
        "dtype": "bfloat16",
    }  # fmt: skip
    guards = {"first": GUARD | {"threshold": 0.2}, "second": GUARD | {"threshold": 0.3}}
    scenario = {"guards": guards, "seed": 1}
    sweep = stored_sweep(
        tmp_path / "sweep",
        limits={"none": 20.0, "first": 10.0},
        changed={"facts": facts, "scenario": scenario, "stacks": {"none": [], "first": ["first"]}},
    )
    # What the sweep calls `first` is `second` there, and the other way round.
    swapped = {"first": guards["second"], "second": guards["first"]}
    other = stored_run(
        tmp_path / "other",
        {"none": 100.0, "first": 100.0, "second": 100.0},
        guards=swapped,
        changed={"facts": facts | {"dtype": "float16"}},
    )
    run = analysed(other)
    energies = {"first": 2.0, "second": 3.0}
    arms = {
        name: replace(arm, resources=of_energy(energies[name])) if name in energies else arm
        for name, arm in run.arms.items()
    }
    found = energy_elsewhere(finished_run(sweep), "first", [replace(run, arms=arms)], "")
    assert found.kwh_per_mtokens is not None
    assert found.kwh_per_mtokens.estimate == pytest.approx(3.0 * 1e6 / 3.6e6)
    warnings = as_json(capsys, planned([sweep, other]))["warnings"]
    assert "other beside the sweep: models differ: dtype bfloat16 and float16" in warnings


def test_throttled_probes_and_an_unfinished_search_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored_sweep(tmp_path / "sweep", limits={"none": 20.0}, throttled=(0.76, 0.92))
    found = as_json(capsys, planned(run))
    assert found["arms"]["none"]["capacity"]["held_hz"] == pytest.approx(0.7 * 20)
    hot = "none: 2 probe(s) left out: the GPU throttled: cool it or lower its power limit"
    assert found["warnings"] == ["the sweep ended before the search was over for none", hot]


def test_a_search_that_was_over_is_not_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = Goal(SloConfig(ttft_ms=50.0), good_fraction=0.5, resolution=0.3, probe_seconds=2.0)
    found = as_json(capsys, ("plan", str(swept(tmp_path, goal, {})), "--rate", "9", "--slo", "ttft_p50=50ms"))
    assert found["warnings"] == []


def test_tpot_alone_is_warned_of(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = as_text(capsys, ("plan", str(sweep), "--rate", "9", "--slo", "tpot_p99=53ms"))
    assert "warning: --slo: TPOT alone does not see how long a request waits" in text
    assert "TPOT alone" not in as_text(capsys, planned(sweep))


def test_a_sweep_that_is_not_whole_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seedless = stored_sweep(tmp_path / "seedless", limits={"none": 20.0}, requests=20, changed={"scenario": {}})
    assert "run.json: has no scenario.seed: it is not whole" in refused(capsys, *planned(seedless))
    alone = stored_sweep(tmp_path / "alone", limits={"guard": 20.0}, requests=20)
    assert "has no arm `none` to compare with" in refused(capsys, *planned(alone))
