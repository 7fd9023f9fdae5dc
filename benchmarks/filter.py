"""The output filter with the built-in rules: does its cost grow with the answer, and what does it add to a stream?

    cpu_ratio_32k_over_1k            CPU time per token, less the bare engine's, in answers of 32,000 tokens over that
                                     in answers of 1,000. The engine has every token ready. Median of rounds. Bar: 1.2.
    holdback_p99_ms_1000_streams     1,000 answers at once from the modelled engine, in real time, in this one process.
                                     Per chunk: from when its last token left the engine (the chunk is full, its
                                     verdict due) to when the text that it lets go reaches the reader. Bar: 5 ms.

The second holds everything in between: the engine's hand-out, the event loop's turns over the other 999 streams, the
scan, the reader's wake-up. It does not hold the wait for the chunk to fill, which `chunk_tokens` decides and the table
shows per token beside it. Only what is released while all streams are under way counts. The engine makes a token of
each stream every 50 ms (20 tokens/s for each, 20,000 tokens/s in all); what it can do at most in real time on this
machine, bare and filtered, is measured first and printed, since above it one would measure the engine.

The last line is one JSON object.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from guards.generation import Delta, GenerationRequest, Generator, Message, Sampling
from guards.output_filter import OutputFilter
from guards.scorers.rules import RulesScorer
from guards.stack import stack
from profiler.engines.modelled import ModelledEngine
from profiler.engines.modelled_parameters import ModelParameters
from profiler.engines.tap import Tap
from profiler.load import quiet_gc

SHORT, LONG = 1_000, 32_000
ROUNDS = 7
STREAMS = 1_000
STEP_NS = 50_000_000
CHUNK_TOKENS = 16
SECONDS = 10
RAMP_S = 2.0
PROMPT = (Message("user", "Tell me about ferns."),)
GUARD = OutputFilter(RulesScorer(), chunk_tokens=CHUNK_TOKENS)
# Ordinary words, and what looks like the beginning of something that the rules look for.
PROSE = """
the of and a to in is that it was for on are as with his they at be this from or had by some there what out other were
all your when up use word how said an each she which their time will way about 2024 3.5 1,000 +1, 0x1F sk-learn user@
e.g. info@home, 10.0.0.1 ABCD DE12 -----BEGIN eyJab - (see)
"""


def prose(seed: int, words: int) -> list[str]:
    """Tokens with a leading space, as a tokenizer makes them. No rule finds anything."""
    rng, known = random.Random(seed), PROSE.split()
    tokens = [" " + rng.choice(known) for _ in range(words)]
    assert not RulesScorer().stream().feed("".join(tokens), final=True)
    return tokens


@dataclass(frozen=True)
class ReadyEngine:
    """Has every token ready, and gives control back now and then."""

    tokens: list[str]

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        count = request.sampling.max_tokens
        for number in range(count):
            if number % 8 == 0:
                await asyncio.sleep(0)
            yield Delta(self.tokens[number], 1, 1, 0, "stop" if number == count - 1 else None)


async def cpu_ns_per_token(generator: Generator, tokens: int) -> float:
    """Of this process, over answers of `tokens` that make up LONG together."""
    began_ns = time.process_time_ns()
    for _ in range(LONG // tokens):
        async for _ in generator.generate(GenerationRequest("r", PROMPT, Sampling(max_tokens=tokens))):
            pass
    return (time.process_time_ns() - began_ns) / LONG


async def filter_costs(rounds: int = ROUNDS) -> npt.NDArray[np.float64]:
    """Shape (rounds, 2): ns a token that the filter adds in short and in long answers. The first round is left out."""
    engine, found = ReadyEngine(prose(1, LONG)), []
    guarded = stack(engine, [GUARD])
    with quiet_gc():
        for _ in range(rounds + 1):
            bare = [await cpu_ns_per_token(engine, tokens) for tokens in (SHORT, LONG)]
            full = [await cpu_ns_per_token(guarded, tokens) for tokens in (SHORT, LONG)]
            found.append([after - before for after, before in zip(full, bare, strict=True)])
    return np.array(found[1:])


@dataclass
class Reader:
    """Reads one stream and notes when each piece came, with how many tokens, after how many verdicts."""

    request: GenerationRequest
    pieces: list[tuple[int, int, int]] = field(default_factory=list)

    async def read(self, generator: Generator) -> None:
        """To the end."""
        trace = self.request.trace
        async for delta in generator.generate(self.request):
            self.pieces.append((time.monotonic_ns(), delta.tokens, len(trace.verdicts)))

    def waits_ms(self, begun_ns: int, ended_ns: int) -> tuple[list[float], list[float]]:
        """Of what was released in between: the wait of each chunk after it was full, and of each token."""
        (call,) = self.request.trace.engine_calls
        emitted, out, chunks, tokens = call.chunk_ns, 0, [], []
        for at_ns, count, verdicts in self.pieces:
            mine, out = emitted[out : out + count], out + count
            if begun_ns <= at_ns < ended_ns:
                full = min(verdicts * CHUNK_TOKENS, len(emitted)) - 1
                chunks.append((at_ns - emitted[full]) / 1e6)
                tokens += [(at_ns - left_ns) / 1e6 for left_ns in mine]
        return chunks, tokens


def engine(step_ns: int) -> ModelledEngine:
    """One that makes a token of every stream in each step; the prompts cost next to nothing."""
    parameters = ModelParameters(
        prefill_ns_per_token=1_000, step_base_ns=step_ns, step_ns_per_sequence=0, max_num_seqs=1024
    )
    scripts = ["".join(prose(seed, 300)) for seed in range(32)]
    return ModelledEngine(parameters, script=lambda request, index: scripts[int(request.request_id) % len(scripts)])


def readers(tokens: int) -> list[Reader]:
    sampling = Sampling(max_tokens=tokens, ignore_eos=True)
    return [Reader(GenerationRequest(str(number), PROMPT, sampling)) for number in range(STREAMS)]


async def most_tokens_per_s(*guards: OutputFilter) -> float:
    """What the engine and the readers can do when a step takes no time."""
    generator, reading = stack(Tap(engine(1)), guards), readers(64)
    with quiet_gc():
        began_ns = time.monotonic_ns()
        await asyncio.gather(*(reader.read(generator) for reader in reading))
        return STREAMS * 64 * 1e9 / (time.monotonic_ns() - began_ns)


@dataclass(frozen=True)
class Held:
    """ms, over all streams; and the share of a core that the process used."""

    chunks: npt.NDArray[np.float64]
    tokens: npt.NDArray[np.float64]
    cpu_share: float


async def held(seconds: float = SECONDS) -> Held:
    """1,000 streams, begun over the first seconds so that their chunks fill at different times."""
    count = round((seconds + RAMP_S) * 1e9 / STEP_NS)
    generator, reading = stack(Tap(engine(STEP_NS)), [GUARD]), readers(count)

    async def later(number: int, reader: Reader) -> None:
        await asyncio.sleep(number * RAMP_S / STREAMS)
        await reader.read(generator)

    with quiet_gc():
        tasks = [asyncio.create_task(later(number, reader)) for number, reader in enumerate(reading)]
        await asyncio.sleep(RAMP_S + 0.5)
        begun_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
        await tasks[0]
        ended_ns = reading[0].pieces[-1][0]
        share = (time.process_time_ns() - cpu_ns) / (ended_ns - begun_ns)
        await asyncio.gather(*tasks)
    waits = [reader.waits_ms(begun_ns, ended_ns) for reader in reading]
    chunks, tokens = (np.array([wait for pair in waits for wait in pair[which]]) for which in (0, 1))
    return Held(chunks, tokens, share)


def main() -> None:
    """Measure, print the tables, then the figures as JSON."""
    costs = asyncio.run(filter_costs())
    ratio = float(np.median(costs[:, 1] / costs[:, 0]))
    short, long = np.median(costs, axis=0) / 1e3
    print(
        f"CPU µs a token: {short:.2f} in answers of {SHORT} tokens, {long:.2f} in answers of {LONG}: {ratio:.3f} times"
    )
    bare, filtered = (asyncio.run(most_tokens_per_s(*guards)) for guards in ((), (GUARD,)))
    rate = STREAMS * 1e9 / STEP_NS
    print(f"most tokens/s in real time: {bare:,.0f} bare, {filtered:,.0f} filtered; now {rate:,.0f}")
    found = asyncio.run(held())
    print(f"{STREAMS} streams, {found.cpu_share:.0%} of a core; wait, ms {'n':>10} {'p50':>9} {'p99':>9} {'max':>9}")
    for name, waits in (("chunk, once it is full", found.chunks), ("token, with the filling", found.tokens)):
        p50, p99 = np.percentile(waits, [50, 99])
        print(f"{name:<40} {len(waits):>10} {p50:>9.2f} {p99:>9.2f} {waits.max():>9.2f}")
    p99 = float(np.percentile(found.chunks, 99))
    figures = {"cpu_ratio_32k_over_1k": round(ratio, 4), "holdback_p99_ms_1000_streams": round(p99, 3)}
    print(json.dumps({"bench": "filter", "figures": figures}))


if __name__ == "__main__":
    main()
