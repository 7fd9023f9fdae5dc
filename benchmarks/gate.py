"""How often does the gate catch a guard that costs too much, and how often does it raise a false alarm?

Runs on the modelled engine in virtual time, with the noise of a shared machine: a baseline, an arm whose guard holds
every request back so that mean TTFT is 15 % up, and one without guards, all held to `ttft_mean +10%` as a stored run
would be. Caught: the dear arm, 5 points on the wrong side, is broken. False alarm: the arm without guards is broken.
Bars: 95 % and 1 %. 48 blocks of 16 requests are what 5 points take on so noisy a machine; with fewer the gate stays
undecided more often (`--blocks`). Prints each with its Clopper-Pearson interval; the last line is one JSON object.
"""

import argparse
import json
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from profiler.analysis.metrics import trial_metrics
from profiler.analysis.stats import proportion
from profiler.analysis.tax import analyse
from profiler.calibration.modelled_run import NULL, SMALL, Setting, modelled_run
from profiler.gate.decision import decide
from profiler.gate.limit import parse_limit
from profiler.prompts import read_prompt_sets
from profiler.records.store import StoredRun
from profiler.scenario import BASELINE, load_scenario

SCENARIO = Path(__file__).parent.parent / "scenarios" / "quickstart.yaml"
LIMIT, TRUE_TAX = "ttft_mean +10%", 0.15
TRUTH_SEED = 900_000


def setting(blocks: int) -> Setting:
    """The dear arm's delay is the share of the baseline's mean TTFT that makes its true tax 15 %."""
    scenario = load_scenario(SCENARIO).model_copy(update={"blocks": blocks, "requests_per_trial": 16})
    plain = Setting(scenario, read_prompt_sets(scenario))
    trials = [
        trial_metrics(trial)
        for seed in range(TRUTH_SEED, TRUTH_SEED + 5)
        for trial in modelled_run(plain.without_noise(), seed, only=())
    ]
    ttft_ms = float(np.concatenate([t.latency_ms["ttft_ms"] for t in trials]).mean()) * plain.slowness
    return Setting(scenario, plain.sets, small_ms=TRUE_TAX * ttft_ms)


def decided(setup: Setting, seed: int) -> dict[str, str]:
    """What the gate says of each arm of one run."""
    trials = tuple(modelled_run(setup, seed, only=(NULL, SMALL)))
    manifest = {"id": f"gate-{seed}", "arms": [BASELINE, NULL, SMALL], "scenario": {"load": {"kind": "closed"}}}
    result = analyse(StoredRun(Path(f"gate-{seed}"), manifest, trials, ()))
    return {one.arm: one.state for one in decide(result, [parse_limit("max", LIMIT)], [NULL, SMALL]).results}


def main() -> None:
    """Repeat, count, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=48)
    options = parser.parse_args()
    setup = setting(options.blocks)
    # Workers start with one thread each for their linear algebra: many would only get in each other's way.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as executor:
        found = list(executor.map(partial(decided, setup), range(1, options.repeats + 1)))
    rates = {}
    print(f"{options.repeats} runs of {options.blocks} blocks, limit {LIMIT}")
    for name, arm in (("caught_rate", SMALL), ("false_alarm_rate", NULL)):
        states = Counter(one[arm] for one in found)
        share = proportion(states["broken"], len(found))
        print(f"{name:<17} {share.estimate:7.1%} [{share.low:.1%}, {share.high:.1%}]  {dict(states)}")
        rates[name] = round(share.estimate, 4)
    print(json.dumps({"bench": "gate", "figures": rates}))


if __name__ == "__main__":
    main()
