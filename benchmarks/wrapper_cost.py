"""What the wrapper itself costs: CPU time of a stack of guards less that of the bare engine.

The engine does no work: it yields ready deltas and gives control back now and then. Every round serves the
same requests bare and through each stack, short answers and long ones, in an order drawn anew; a round's cost
per chunk is the difference in slope between short and long, its cost per request what is left of the short.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from guards.controls import Null
from guards.generation import Delta, GenerationRequest, Generator, Message, Sampling
from guards.guard import Guard
from guards.input_classifier import InputClassifier
from guards.output_filter import OutputFilter
from guards.refusal_reranker import RefusalReranker
from guards.scorers.rules import RulesScorer
from guards.stack import stack
from profiler.engines.tap import Tap
from profiler.load import quiet_gc

SHORT, LONG = 1, 101  # chunks of an answer
CHUNKS_PER_TURN = 8  # the engine gives control back this often
ROUNDS = 100
TURN_REQUESTS = {SHORT: 400, LONG: 40}
PROMPT = (Message("user", "Which of these two plants needs more water in summer, and how often? " * 4),)


@dataclass(frozen=True)
class IdleEngine:
    """Answers at once with `chunks` ready deltas."""

    chunks: int

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        for number in range(1, self.chunks):
            if number % CHUNKS_PER_TURN == 0:
                await asyncio.sleep(0)
            yield Delta("word ", 1, 1)
        yield Delta("word.", 1, 1, 0, "stop")


@dataclass(frozen=True)
class Arm:
    """A stack to compare with the bare engine; `tapped`: with the trace of the engine's boundary."""

    name: str
    guards: tuple[Guard, ...] = ()
    tapped: bool = True

    def generator(self, chunks: int) -> Generator:
        engine = IdleEngine(chunks)
        return stack(Tap(engine) if self.tapped else engine, self.guards)


BARE = Arm("bare engine", tapped=False)
RULES = RulesScorer()
ARMS = (
    Arm("null stack (tap and null guard)", (Null(),)),
    Arm("input classifier, rules", (InputClassifier(RULES),)),
    Arm("output filter, rules, 16 tokens", (OutputFilter(RULES),)),
    Arm("reranker, rules, n = 1", (RefusalReranker(RULES, RULES, n=1),)),
)


@dataclass(frozen=True)
class Cost:
    """CPU time over the bare engine's, µs: mean of the rounds and half the width of its 95 % interval."""

    name: str
    us_per_request: float
    request_margin_us: float
    us_per_chunk: float
    chunk_margin_us: float


async def cpu_ns_per_request(generator: Generator, requests: int) -> float:
    """Serve `requests` one after another; CPU time of this process, ns for each."""
    made = [GenerationRequest("r", PROMPT, Sampling()) for _ in range(requests)]
    began_ns = time.process_time_ns()
    for request in made:
        async for _ in generator.generate(request):
            pass
    return (time.process_time_ns() - began_ns) / requests


async def measure(arms: Sequence[Arm], rounds: int, seed: int) -> npt.NDArray[np.float64]:
    """Shape (rounds, arms, 2): ns a request, of short answers and of long ones. The first round is thrown away."""
    rng = random.Random(seed)
    turns = [(at, chunks) for at in range(len(arms)) for chunks in (SHORT, LONG)]
    found = np.zeros((rounds + 1, len(arms), 2))
    with quiet_gc():
        for number in range(rounds + 1):
            rng.shuffle(turns)
            for at, chunks in turns:
                generator = arms[at].generator(chunks)
                found[number, at, int(chunks == LONG)] = await cpu_ns_per_request(generator, TURN_REQUESTS[chunks])
    return found[1:]


def cost(name: str, bare_ns: npt.NDArray[np.float64], arm_ns: npt.NDArray[np.float64]) -> Cost:
    """Both of shape (rounds, 2), as from `measure`; the rounds pair them. Student's t interval."""
    extra_us = (arm_ns - bare_ns) / 1e3
    per_chunk = (extra_us[:, 1] - extra_us[:, 0]) / (LONG - SHORT)
    per_request = extra_us[:, 0] - SHORT * per_chunk
    return Cost(name, float(per_request.mean()), margin(per_request), float(per_chunk.mean()), margin(per_chunk))


def margin(values: npt.NDArray[np.float64]) -> float:
    """Half the width of the mean's 95 % interval (Student's t)."""
    return float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def wrapper_costs(rounds: int = ROUNDS) -> tuple[Cost, ...]:
    """Measure every arm against the bare engine; the first of ARMS is the null stack."""
    found = asyncio.run(measure((BARE, *ARMS), rounds, seed=1))
    return tuple(cost(arm.name, found[:, 0], found[:, at]) for at, arm in enumerate(ARMS, 1))


def print_costs(costs: Sequence[Cost]) -> None:
    """A line for each stack."""
    print(f"{'CPU time over the bare engine (95 % interval)':<46} {'µs a request':>18} {'µs a chunk':>18}")
    for c in costs:
        print(
            f"{c.name:<46} {c.us_per_request:>9.2f} ± {c.request_margin_us:<6.2f} "
            f"{c.us_per_chunk:>9.3f} ± {c.chunk_margin_us:<6.3f}"
        )


if __name__ == "__main__":
    print_costs(wrapper_costs())
