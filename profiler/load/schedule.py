"""From a scenario's load to a block's requests: when each is due and, in a trace, how long it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from profiler.load.arrivals import Offsets, constant, gamma, poisson, ramp
from profiler.load.trace_replay import TraceRow
from profiler.scenario import ClosedLoad, ConstantLoad, GammaLoad, Load, PoissonLoad, RampLoad

CHARS_PER_TOKEN = 4
# Kept free for the chat template, and for prompts that take more tokens than four characters each.
_TEMPLATE_TOKENS = 64
_PROMPT_MARGIN = 0.75


def schedule(load: Load, n: int, *, seed: int, block: int, rows: Sequence[TraceRow] = ()) -> Offsets:
    """When the n requests of a block are due, ns from its start; every arm of the block gets the same.

    Args:
        load: any but the closed loop, whose requests are due when a user is free.
        n: number of requests.
        seed: the scenario's; block b of a seed always draws the same.
        block: the block.
        rows: for a trace, the block's `window` of it.

    Raises:
        ValueError: a closed loop, or a trace with another number of rows than n.
    """
    draw = seed * 100_003 + block
    match load:
        case ClosedLoad():
            raise ValueError("a closed loop has no schedule: its requests are due when a user is free")
        case ConstantLoad():
            return constant(load.rate_hz, n)
        case PoissonLoad():
            return poisson(load.rate_hz, n, draw)
        case GammaLoad():
            return gamma(load.rate_hz, n, load.burstiness, draw)
        case RampLoad():
            return ramp(load.start_hz, load.end_hz, n, draw)
    if len(rows) != n:
        raise ValueError(f"a trace's block of {n} requests needs as many rows, there are {len(rows)}")
    return np.array([row.offset_ns for row in rows], dtype=np.int64)


def window(trace: Sequence[TraceRow], n: int, block: int) -> tuple[TraceRow, ...]:
    """Rows block * n to block * n + n of a trace, ns from the first of them.

    Past its end a trace starts again, one mean gap after its last row.

    Raises:
        ValueError: the trace has no rows.
    """
    if not trace:
        raise ValueError("the trace has no rows")
    around_ns = trace[-1].offset_ns + trace[-1].offset_ns // max(len(trace) - 1, 1)
    places = [divmod(i, len(trace)) for i in range(block * n, block * n + n)]
    times = [trace[at].offset_ns + round_ * around_ns for round_, at in places]
    return tuple(
        TraceRow(time - times[0], trace[at].prompt_tokens, trace[at].output_tokens)
        for time, (_, at) in zip(times, places, strict=True)
    )


def fit(row: TraceRow, max_model_len: int | None) -> TraceRow:
    """The row with lengths that the engine takes: one token at least, together no more than it allows.

    An answer keeps at most half of `max_model_len`, the prompt three quarters of the rest: lengths in tokens
    are counted as four characters each, and some text takes more.
    """
    output = max(row.output_tokens, 1)
    if max_model_len is None:
        return TraceRow(row.offset_ns, row.prompt_tokens, output)
    output = min(output, max(max_model_len // 2, 1))
    room = int((max_model_len - output - _TEMPLATE_TOKENS) * _PROMPT_MARGIN)
    return TraceRow(row.offset_ns, min(row.prompt_tokens, max(room, 1)), output)


def max_model_len(engine: dict[str, Any]) -> int | None:
    """What `engine.max_model_len` says; None where the scenario leaves it to the model."""
    found = engine.get("max_model_len")
    return found if isinstance(found, int) and found > 0 else None


def lengthened(text: str, tokens: int) -> str:
    """The text, repeated with its own words until it is about `tokens` long at four characters a token.

    Never shortened: a prompt without its end may no longer deserve its label.
    """
    wanted = tokens * CHARS_PER_TOKEN
    words = text.split()
    if len(text) >= wanted or not words:
        return text
    added: list[str] = [text]
    length, at = len(text), 0
    while length < wanted:
        word = words[at % len(words)]
        added.append(word)
        length, at = length + 1 + len(word), at + 1
    return " ".join(added)
