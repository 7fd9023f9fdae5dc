"""One guard model, several ways to its verdict: a head in one prefill, its label token's probability, its text.

The embedded model stands in for the guard model, asked as Granite Guardian 4.1 is: of the families whose labels are
single tokens of this model it is the one that divides the prompts at p = 0.5, so that agreement is put to the test.
Its written verdicts are constrained to the two that the family knows, since it would write neither. Prompts of the
scenarios, one at a time, the ways in an order drawn anew for each and the prefix caches forgotten before each check;
then several at once.

vLLM computes a head in float32, and a generator's output layer in the model's own dtype: in bfloat16 the label judge
sees logits in steps of 1/16 to 1/8. `head_dtype: float32` spares it that; both are shown.

The last line is one JSON object: `agreement` is the share of prompts for which head and label judge are on the same
side of 0.5 as vLLM has them, `agreement_float32` the same with both in float32, `judge_over_head_cost` the median time
of a written verdict over that of the head.

    PROMPTS=30 make bench-verdict-paths    # fewer prompts than the 96
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from guards.config import InputClassifierConfig, open_resources
from guards.guard import Scorer
from guards.subject import Message, Subject
from profiler.engines.vllm_args import prepare_environment
from profiler.engines.vllm_host import VllmHost
from profiler.engines.weights import find_weights
from profiler.prompt_sets import LABELS, read_all

N = int(os.environ.get("PROMPTS", "96"))
AT_ONCE = 8
SCENARIOS = Path(__file__).parents[1] / "scenarios"
ENGINE = {"enforce_eager": True, "max_model_len": 1024, "max_num_batched_tokens": 1024, "max_num_seqs": AT_ONCE}
MODEL = {"model": "embedded", "family": "granite-guardian-4.1", "engine": ENGINE}
FLOAT32 = {**ENGINE, "hf_overrides": {"head_dtype": "float32"}}
VERDICTS = [f"<think>\n</think>\n<score> {label} </score>" for label in ("yes", "no")]
WAYS = {
    "head": {"kind": "vllm-head", **MODEL},
    "judge, logprob": {"kind": "vllm-judge", "read": "logprob", **MODEL},
    "judge, text": {"kind": "vllm-judge", "sampling": {"structured_outputs": {"choice": VERDICTS}}, **MODEL},
    "logprob, float32": {"kind": "vllm-judge", "read": "logprob", **MODEL, "engine": FLOAT32},
}
Floats = npt.NDArray[np.float64]


def subjects() -> list[Subject]:
    """About `N` prompts, evenly over the scenarios' files."""
    files = [str(SCENARIOS / "prompts" / f"{label}.jsonl") for label in LABELS]
    read = read_all(files, "bench")
    chosen = [read[int(i)].prompt for i in np.linspace(0, len(read) - 1, min(N, len(read)))]
    return [Subject(text, "prompt", (Message("user", text),)) for text in chosen]


async def one_at_a_time(
    ways: Mapping[str, Scorer], asked: Sequence[Subject], host: VllmHost
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """p(unsafe) and ms of every check, by way, in the order of `asked`."""
    p = {way: np.zeros(len(asked)) for way in ways}
    ms = {way: np.zeros(len(asked)) for way in ways}
    rng = random.Random(1)
    for index, subject in enumerate(asked):
        for way in rng.sample(list(ways), len(ways)):
            await host.reset_prefix_caches()
            began_ns = time.monotonic_ns()
            score = await ways[way].score(subject)
            ms[way][index] = (time.monotonic_ns() - began_ns) / 1e6
            p[way][index] = np.nan if score.p_unsafe is None else score.p_unsafe
    return p, ms


async def checks_per_s(scorer: Scorer, asked: Sequence[Subject], host: VllmHost) -> float:
    """Checks a second with `AT_ONCE` of them in flight."""
    await host.reset_prefix_caches()
    free = asyncio.Semaphore(AT_ONCE)

    async def check(subject: Subject) -> None:
        async with free:
            await scorer.score(subject)

    began_s = time.monotonic()
    await asyncio.gather(*(check(subject) for subject in asked))
    return len(asked) / (time.monotonic() - began_s)


async def bench() -> dict[str, float]:
    """Open the models, measure, print the table."""
    stated = {
        way: InputClassifierConfig.model_validate({"kind": "input-classifier", "scorer": scorer})
        for way, scorer in WAYS.items()
    }
    prepare_environment()
    served = find_weights("embedded", {})  # nothing is served here
    async with VllmHost(served, "bench", print) as host, open_resources(stated.values(), host=host) as opened:
        ways = {way: opened.scorer(config.scorer) for way, config in stated.items()}
        asked = subjects()
        p, ms = await one_at_a_time(ways, asked, host)
        rates = {way: await checks_per_s(scorer, asked, host) for way, scorer in ways.items()}
    print(f"{'way':<16} {'ms p50':>8} {'ms p90':>8} {'checks/s':>9} {'mean p':>7}")
    for way in ways:
        p50, p90 = np.percentile(ms[way], [50, 90])
        print(f"{way:<16} {p50:>8.1f} {p90:>8.1f} {rates[way]:>9.2f} {p[way].mean():>7.3f}")
    return figures(p, ms)


def figures(p: Mapping[str, Floats], ms: Mapping[str, Floats]) -> dict[str, float]:
    """What the two pairs of ways have to do with each other; prints the agreement."""
    head, label, text, exact = (p[way] for way in WAYS)
    print(f"{len(head)} prompts, checks/s with {AT_ONCE} in flight")
    print(f"p is at least 0.5 for {(head >= 0.5).mean():.0%} of the prompts (head)")
    for name, other in (("label judge", label), ("label judge, float32", exact), ("text judge", text)):
        apart = np.abs(head - other)
        print(f"head and {name}: {same_side(head, other):.1%} on one side, p apart {apart.mean():.5f} on average")
    cost = {way: float(np.median(ms[way])) for way in WAYS}
    return {
        "agreement": round(same_side(head, label), 4),
        "agreement_float32": round(same_side(head, exact), 4),
        "mean_p_difference": round(float(np.abs(head - label).mean()), 6),
        "mean_p_difference_float32": round(float(np.abs(head - exact).mean()), 6),
        "judge_over_head_cost": round(cost["judge, text"] / cost["head"], 3),
        "logprob_over_head_cost": round(cost["judge, logprob"] / cost["head"], 3),
    }


def same_side(p: Floats, other: Floats) -> float:
    """Share of pairs on the same side of 0.5."""
    return float(((p >= 0.5) == (other >= 0.5)).mean())


def main() -> None:
    """Print the table, then the figures as JSON."""
    print(json.dumps({"bench": "verdict-paths", "figures": asyncio.run(bench())}))


if __name__ == "__main__":
    main()
