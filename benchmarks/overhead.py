"""What the wrapper costs, and what a trivial guard costs in the frameworks people use.

    1   CPU time of the null stack over the bare engine, per request and per chunk. Bars: 50 µs and 5 µs.
    2   The same keyword guard (a few banned words, whole, in any case) over the same 200 texts, here and in
        each framework, each in a process and a venv of its own; their rounds alternate. CPU µs per check.

A framework that cannot be measured says why and has null among the figures. The last line is one JSON object.
"""

import json
import random
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.overhead_frameworks.process import Process
from benchmarks.overhead_frameworks.texts import BANNED, Texts, make_texts
from benchmarks.overhead_frameworks.venvs import Framework, NotMeasured, python_of
from benchmarks.wrapper_cost import print_costs, wrapper_costs

ROUNDS = 20
OURS = Framework("ours", "ours")
FRAMEWORKS = (
    Framework("llm-guard", "llm_guard", borrows=True),
    Framework("openai-guardrails", "openai_guardrails"),
    Framework("guardrails-ai", "guardrails_ai"),
    Framework("nemo-guardrails", "nemo_guardrails"),
)


@dataclass(frozen=True)
class Found:
    """µs per check: CPU time (median of the rounds, 10th and 90th percentile) and time on the clock (median)."""

    version: str
    cpu_us: float
    cpu_p10_us: float
    cpu_p90_us: float
    wall_us: float


def start(framework: Framework, texts: Texts) -> Process:
    """The framework's process, warm.

    Raises:
        NotMeasured: it cannot be installed or started, or does not judge as it should.
    """
    python = Path(sys.executable) if framework is OURS else python_of(framework)
    process = Process(python, framework.module, BANNED, texts.texts)
    wrong = sum(a != b for a, b in zip(process.verdicts, texts.blocked, strict=True))
    if wrong:
        process.close()
        raise NotMeasured(f"judges {wrong} of {len(texts.texts)} texts otherwise than asked")
    return process


def compare(rounds: int = ROUNDS, seed: int = 5) -> dict[str, Found | NotMeasured]:
    """Every framework's cost, or why it has none, by name; the rounds alternate in an order drawn anew."""
    texts, rng = make_texts(), random.Random(seed)
    found: dict[str, Found | NotMeasured] = {}
    running: dict[str, Process] = {}
    with ExitStack() as stack:
        for framework in (OURS, *FRAMEWORKS):
            try:
                running[framework.name] = start(framework, texts)
            except NotMeasured as why:
                found[framework.name] = why
            else:
                stack.callback(running[framework.name].close)
        order = list(running)
        spent: dict[str, list[tuple[int, int]]] = {name: [] for name in order}
        for _ in range(rounds):
            rng.shuffle(order)
            for name in [name for name in order if name not in found]:
                try:
                    spent[name].append(running[name].round_ns())
                except NotMeasured as why:
                    found[name] = why
    for name in running.keys() - found.keys():
        found[name] = _found(running[name].version, np.array(spent[name]) / len(texts.texts) / 1e3)
    return {framework.name: found[framework.name] for framework in (OURS, *FRAMEWORKS)}


def _found(version: str, us: np.ndarray) -> Found:
    p10, median, p90 = np.percentile(us[:, 0], [10, 50, 90])
    return Found(version, float(median), float(p10), float(p90), float(np.median(us[:, 1])))


def print_found(found: dict[str, Found | NotMeasured]) -> None:
    """A line for each framework."""
    ours = found[OURS.name]
    print(f"\n{'the same keyword guard':<20} {'version':>9} {'CPU µs a check':>15} {'p10 to p90':>16} {'clock':>9}   x")
    for name, one in found.items():
        if isinstance(one, NotMeasured):
            print(f"{name:<20} not measured: {one}")
            continue
        times = f"{one.cpu_us / ours.cpu_us:5.1f}" if isinstance(ours, Found) else ""
        spread = f"{one.cpu_p10_us:.1f} to {one.cpu_p90_us:.1f}"
        print(f"{name:<20} {one.version:>9} {one.cpu_us:>15.1f} {spread:>16} {one.wall_us:>9.1f} {times}")


def main() -> None:
    """Measure both, print both, then the figures as JSON."""
    costs = wrapper_costs()
    print_costs(costs)
    found = compare()
    print_found(found)
    figures: dict[str, float | None] = {
        "null_stack_us_per_request": round(costs[0].us_per_request, 3),
        "null_stack_us_per_request_ci95": round(costs[0].request_margin_us, 3),
        "null_stack_us_per_chunk": round(costs[0].us_per_chunk, 4),
        "null_stack_us_per_chunk_ci95": round(costs[0].chunk_margin_us, 4),
    }
    for name, one in found.items():
        key = f"us_per_check_{name.replace('-', '_')}"
        figures[key] = round(one.cpu_us, 2) if isinstance(one, Found) else None
    print(json.dumps({"bench": "overhead", "figures": figures}))


if __name__ == "__main__":
    main()
