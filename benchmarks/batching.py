"""What batching buys the `embedding` scorer: checks per second with 1 to 32 texts in flight, in a closed loop.

The real worker process judges the scenarios' prompts, in an order drawn once. Rounds alternate over the numbers in
flight, so that all of them meet the same machine; a figure is the median over the rounds. The first table has one
worker thread, the second two, at the same settings for every row: a lone text is always computed by one thread. The
last line is one JSON object; `embedding_speedup_16` is 16 in flight over one at a time with two threads.
Bar: at least 3. SECONDS=... sets how long one round of one row lasts, ROUNDS=... how many there are.
"""

import asyncio
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np

from guards.scorers.embedding import EmbeddingScorer
from guards.scorers.worker import EmbeddingWorker
from guards.subject import Subject

PROMPTS = Path(__file__).parent.parent / "scenarios" / "prompts"
IN_FLIGHT = (1, 2, 4, 8, 16, 32)
THREADS = (1, 2)
SECONDS = float(os.environ.get("SECONDS", "4"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))


@dataclass
class Row:
    """One number in flight: checks/s of each round, and the latency of every check."""

    checks_per_s: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


def prompts() -> list[str]:
    """The scenarios' prompts, in an order drawn once."""
    rows = [json.loads(line) for file in sorted(PROMPTS.glob("*.jsonl")) for line in file.open(encoding="utf-8")]
    return [rows[index]["prompt"] for index in np.random.default_rng(1).permutation(len(rows))]


async def one_round(scorer: EmbeddingScorer, texts: Iterator[str], in_flight: int, row: Row) -> None:
    """Keep `in_flight` checks going for SECONDS."""
    start_ns = time.monotonic_ns()
    end_ns = start_ns + int(SECONDS * 1e9)

    async def user() -> int:
        checks = 0
        while (asked_ns := time.monotonic_ns()) < end_ns:
            await scorer.score(Subject(next(texts)))
            row.latencies_ms.append((time.monotonic_ns() - asked_ns) / 1e6)
            checks += 1
        return checks

    checks = sum(await asyncio.gather(*(user() for _ in range(in_flight))))
    row.checks_per_s.append(checks / ((time.monotonic_ns() - start_ns) / 1e9))


async def measured(threads: int) -> dict[int, Row]:
    """A row for each number in flight, from one worker."""
    worker = await EmbeddingWorker.start(threads)
    try:
        scorer, rows = EmbeddingScorer(worker), {n: Row() for n in IN_FLIGHT}
        texts = cycle(prompts())
        await one_round(scorer, texts, IN_FLIGHT[-1], Row())
        for _ in range(ROUNDS):
            for in_flight, row in rows.items():
                await one_round(scorer, texts, in_flight, row)
        return rows
    finally:
        await worker.close()


def main() -> None:
    """Measure, print a table for each number of threads, then the figures as JSON."""
    figures: dict[str, float] = {}
    print(f"{os.cpu_count()} cores; {len(prompts())} prompts; {ROUNDS} rounds of {SECONDS:g} s a row")
    for threads in THREADS:
        rows = asyncio.run(measured(threads))
        alone = statistics.median(rows[1].checks_per_s)
        print(f"worker threads: {threads}")
        print(f"{'in flight':>10} {'checks/s':>9} {'over one':>9} {'p50 ms':>8} {'p99 ms':>8}")
        for in_flight, row in rows.items():
            rate = statistics.median(row.checks_per_s)
            p50, p99 = np.percentile(row.latencies_ms, [50, 99])
            print(f"{in_flight:>10} {rate:>9.1f} {rate / alone:>9.2f} {p50:>8.1f} {p99:>8.1f}")
            figures[f"embedding_checks_per_s_{in_flight}_threads_{threads}"] = round(rate, 1)
        figures[f"embedding_latency_p50_ms_1_threads_{threads}"] = round(float(np.median(rows[1].latencies_ms)), 2)
        figures[f"embedding_speedup_16_threads_{threads}"] = round(statistics.median(rows[16].checks_per_s) / alone, 3)
    figures["embedding_speedup_16"] = figures[f"embedding_speedup_16_threads_{THREADS[-1]}"]
    print(json.dumps({"bench": "batching", "figures": figures}))


if __name__ == "__main__":
    main()
