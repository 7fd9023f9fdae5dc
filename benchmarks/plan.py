"""Does the plan's queueing check predict? p99 at rates that no fit has seen, then measured.

Some rates are fitted, five between them are left out: the curve that the fit chooses (`profiler.analysis.load_curve`)
predicts the p99 of TTFT and of E2EL at each of the five, which is then compared with the one measured there. Rates
are shares of what a closed loop with every seat taken does; all are measured in random order.

    modelled  the modelled engine in virtual time, thousands of requests a rate; bar: median error 10 %
    vllm      the embedded model on vLLM, short prompts, answers of two tokens; bar 20 %; null where vLLM is not
              installed, or with --no-vllm. The p99 of a few hundred requests is uncertain by itself: its interval is
              beside it, and the error of the p90 below the table

A third part asks how often the plan's 95 % interval of capacity holds the truth, on a queue whose truth is known
(M/D/1, Erlang 1909). The figure of an engine is the larger of its two medians; the last line is one JSON object.
"""

import argparse
import asyncio
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from rich.console import Console

from guards.generation import Generator
from profiler.analysis.load_curve import best_curve
from profiler.analysis.metrics import Array
from profiler.analysis.percentiles import Objective, percentile
from profiler.analysis.stats import Interval, quantile
from profiler.capacity_plan.capacity import percentile_capacity
from profiler.capacity_plan.probes import PlanProbe, read_probe
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.tap import Tap
from profiler.engines.virtual_time import now_ns, run_virtual
from profiler.prompts import PromptSets, read_prompt_sets
from profiler.records.record import RequestRecord, TrialInfo
from profiler.records.store import StoredTrial, as_table
from profiler.reference.parts import TINY, TINY_ENGINE
from profiler.saturation.probe import RAMP_SHARE
from profiler.scenario import ClosedLoad, OutputConfig, Scenario, load_scenario
from profiler.trial import Workload, run_trial

SCENARIO = Path(__file__).parent.parent / "scenarios" / "quickstart.yaml"
FITTED = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LEFT_OUT = (0.35, 0.45, 0.55, 0.65, 0.75)
ON_VLLM = FITTED[1:]  # the lowest rate takes the longest, and says the least
LATE_MS, LAG_SHARE = 10.0, 0.1
METRICS = ("ttft_ms", "e2el_ms")
# Like a small model on a GPU: a step of some ms, a little longer for each sequence in it.
MACHINE = ModelParameters(
    prefill_ns_per_token=100_000, step_base_ns=8_000_000, step_ns_per_sequence=400_000, max_num_seqs=32,
    mean_output_tokens=24,
)  # fmt: skip
MODELLED_REQUESTS = 5000
SERVICE_S, SERVICES = 0.01, 4


@dataclass(frozen=True)
class Rig:
    """An engine to load: its stack, its clock, what is sent, and how many users take every seat."""

    stack: Generator
    clock: Callable[[], int]
    scenario: Scenario
    sets: PromptSets
    users: int

    async def probe(self, rate_hz: float | None, n: int, seed: int) -> StoredTrial:
        """`n` requests at a rate, or from the closed loop."""
        work = Workload.draw(self.scenario.model_copy(update={"requests_per_trial": n}), self.sets, seed)
        work = work.at_rate(rate_hz) if rate_hz else replace(work, load=ClosedLoad(kind="closed", users=self.users))
        found = await run_trial(self.stack, work, f"p{seed}", watch=_ignore, now_ns=self.clock)
        info = TrialInfo(seed, seed, "none", 0, found.started_ns, found.ended_ns, rate_hz=rate_hz)
        return StoredTrial(info, as_table(info, found.records))

    async def throughput_hz(self) -> float:
        """Requests/s of the closed loop, after a first one that warms up."""
        trials = [await self.probe(None, 6 * self.users, seed) for seed in (900, 901)]
        return trials[1].table.num_rows / ((trials[1].info.ended_ns - trials[1].info.started_ns) / 1e9)


@dataclass(frozen=True)
class Predicted:
    """The p99 of one metric at one left-out rate, ms, and the p90's relative error."""

    metric: str
    rate_hz: float
    curve: str
    said: float
    measured: Interval
    p90_error: float

    @property
    def error(self) -> float:
        """Relative."""
        return abs(self.said / self.measured.estimate - 1)


@dataclass(frozen=True)
class Load:
    """Which shares of the throughput are fitted, how many requests each gets in all, and in how many rounds.

    A probe whose requests were sent late was disturbed by something else on the machine, whatever its latencies: it is
    measured again, while `again_s` seconds last.
    """

    fitted: tuple[float, ...]
    requests: Callable[[float], int]
    rounds: int = 1
    again_s: float = 0.0


Found = dict[float, list[PlanProbe]]


async def measured(rig: Rig, load: Load) -> Found:
    """Every rate's probes, by its share of the closed loop's throughput; each round in an order of its own."""
    top_hz = await rig.throughput_hz()
    n = load.requests(top_hz) // load.rounds
    print(f"closed loop: {top_hz:.3g} requests/s; {load.rounds} x {n} requests a rate, {1 - RAMP_SHARE:.0%} counted")
    due = [share for _ in range(load.rounds) for share in (*load.fitted, *LEFT_OUT)]
    order = random.Random(7)
    found: Found = {share: [] for share in due}
    seed, late, left_ns = 0, 0, round(load.again_s * 1e9)
    order.shuffle(due)
    while due:
        share = due.pop()
        began_ns = rig.clock()
        trial = await rig.probe(share * top_hz, n, seed)
        probe, seed = read_probe(trial, LATE_MS / LAG_SHARE), seed + 1
        assert probe is not None
        if probe.invalid:
            late += 1
            left_ns -= rig.clock() - began_ns
            if left_ns > 0:
                due.insert(0, share)
                continue
        found[share].append(probe)
    if late:
        print(f"{late} probe(s) were sent late (lag p99 over {LATE_MS:g} ms): the machine had other work")
    return found


def predictions(found: Found, fitted: tuple[float, ...]) -> list[Predicted]:
    """What the fitted rates say of those left out."""
    made = []
    for metric in METRICS:
        said = {q: _curve(found, fitted, metric, q) for q in (0.99, 0.9)}
        for share in LEFT_OUT:
            rate_hz, values = found[share][0].rate_hz, [probe.of(metric) for probe in found[share]]
            curve, predict = said[0.99]
            p90 = said[0.9][1](rate_hz) / quantile(np.concatenate(values), 0.9) - 1
            made.append(Predicted(metric, rate_hz, curve, predict(rate_hz), percentile(values, 0.99), abs(p90)))
    return made


def _curve(found: Found, shares: tuple[float, ...], metric: str, q: float) -> tuple[str, Callable[[float], float]]:
    rates = [found[share][0].rate_hz for share in shares]
    seen = [quantile(np.concatenate([probe.of(metric) for probe in found[share]]), q) for share in shares]
    fitted = best_curve(rates, seen)
    assert fitted is not None
    return fitted.name, lambda rate: fitted.predict(rate) or math.inf


def print_engine(name: str, found: Found, fitted: tuple[float, ...]) -> float:
    """Print predicted beside measured; the larger of the metrics' median errors."""
    made = predictions(found, fitted)
    print(
        f"\n{name}: p99, ms{'':<8} {'rate':>6} {'curve':>6} {'predicted':>10} {'measured':>9} {'95 %':>19} {'error':>6}"
    )
    for one in made:
        low, high = (f"{end:.1f}" if math.isfinite(end) else "?" for end in (one.measured.low, one.measured.high))
        print(
            f"  {one.metric:<20} {one.rate_hz:>6.3g} {one.curve:>6} {one.said:>10.1f} {one.measured.estimate:>9.1f} "
            f"{f'{low} to {high}':>19} {one.error:>6.1%}"
        )
    medians = {metric: float(np.median([one.error for one in made if one.metric == metric])) for metric in METRICS}
    p90 = {metric: float(np.median([one.p90_error for one in made if one.metric == metric])) for metric in METRICS}
    print(
        "  median error: "
        + ", ".join(f"{metric} {error:.1%} (p90: {p90[metric]:.1%})" for metric, error in medians.items())
    )
    return max(medians.values())


def modelled(requests: int) -> Found:
    """The modelled engine's probes."""
    scenario = load_scenario(SCENARIO).model_copy(update={"output": OutputConfig(length="natural", max_tokens=64)})
    sets = read_prompt_sets(scenario)

    async def run() -> Found:
        engine = ModelledEngine(MACHINE, now_ns=now_ns, seed=3)
        rig = Rig(Tap(engine), now_ns, scenario, sets, MACHINE.max_num_seqs)
        return await measured(rig, Load(FITTED, lambda _: requests))

    return run_virtual(run)


async def on_vllm(seconds: float) -> Found:
    """A tiny model's on vLLM, with as many requests a rate as the time allows."""
    from time import monotonic_ns

    from profiler.engines.vllm_args import prepare_environment
    from profiler.profile import open_bench

    prepare_environment()
    scenario = load_scenario(SCENARIO).only(["input"])
    update = {
        "model": str(TINY), "engine": TINY_ENGINE, "judge_answers": False,
        "output": OutputConfig(length="fixed", max_tokens=8),
    }  # fmt: skip
    scenario = scenario.model_copy(update=update)
    each_s = sum(1 / share for share in (*ON_VLLM, *LEFT_OUT))
    async with open_bench(scenario, str(SCENARIO), Console(stderr=True)) as bench:
        rig = Rig(Tap(bench.engine), monotonic_ns, scenario, read_prompt_sets(scenario), 16)
        load = Load(ON_VLLM, lambda top_hz: max(100, int(seconds * top_hz / each_s)), rounds=2, again_s=0.3 * seconds)
        return await measured(rig, load)


def coverage(repeats: int, requests: int = 4000) -> float:
    """How often the interval of a queue's capacity holds the truth."""
    truth = _md1_capacity_hz(0.99)
    objective = Objective("ttft_ms", 0.99, 1000 * SERVICE_S * (SERVICES + 1) + 1e-6)
    rates, held, widths = (40, 45, 50, 55, 60, 65, 70), 0, []
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        probes = [_queue_probe(float(rate), requests, rng) for rate in rates]
        interval = percentile_capacity(probes, [objective], None, (seed,)).interval
        held += interval is not None and interval.contains(truth)
        widths.append(math.inf if interval is None else (interval.high - interval.low) / truth)
    print(f"\ncapacity of an M/D/1 queue, p99 within {SERVICES + 1} services: truth {truth:.2f} requests/s")
    print(f"  {repeats} sweeps of {len(rates)} rates, {requests} requests each: the 95 % interval holds it in", end=" ")
    print(f"{held / repeats:.1%}, median width {np.median(widths):.1%}")
    return held / repeats


def _queue_probe(rate_hz: float, n: int, rng: np.random.Generator) -> PlanProbe:
    arrived = np.cumsum(rng.exponential(1 / rate_hz, n))
    work = np.arange(n) * SERVICE_S
    latency: Array = (np.maximum.accumulate(arrived - work) + work + SERVICE_S - arrived)[round(RAMP_SHARE * n) :] * 1e3
    k = len(latency)
    return PlanProbe(rate_hz, False, {"ttft_ms": latency}, np.zeros(k, np.bool_), np.ones(k), np.ones((2, k)), None, "")


def _md1_capacity_hz(required: float) -> float:
    """The rate at which just that share waits for at most `SERVICES` services: Erlang 1909."""
    low, high = 0.0, 1.0
    for _ in range(50):
        load = (low + high) / 2
        left = [load * (SERVICES - i) for i in range(SERVICES + 1)]
        share = (1 - load) * sum((-x) ** i / math.factorial(i) * math.exp(x) for i, x in enumerate(left))
        low, high = (load, high) if share >= required else (low, load)
    return low / SERVICE_S


def _ignore(record: RequestRecord) -> None:
    pass


def main() -> None:
    """Measure, print, then the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-vllm", action="store_true", help="leave the real engine out")
    parser.add_argument("--seconds", type=float, default=420.0, help="for the rates on vLLM, all together")
    parser.add_argument("--requests", type=int, default=MODELLED_REQUESTS, help="a rate, on the modelled engine")
    parser.add_argument("--repeats", type=int, default=200, help="sweeps of the queue")
    options = parser.parse_args()
    figures: dict[str, float | None] = {
        "median_error_modelled": round(print_engine("modelled engine", modelled(options.requests), FITTED), 4),
        "coverage_queue": round(coverage(options.repeats), 4),
        "median_error_vllm": None,
    }
    if options.no_vllm or find_spec("vllm") is None:
        print("\nvLLM: not measured: " + ("left out (--no-vllm)" if options.no_vllm else "it is not installed"))
    else:
        found = asyncio.run(on_vllm(options.seconds))
        figures["median_error_vllm"] = round(print_engine("tiny model on vLLM", found, ON_VLLM), 4)
    print(json.dumps({"bench": "plan", "figures": figures}))


if __name__ == "__main__":
    main()
