"""The engine's steps, reconstructed from when its tokens came.

A continuous-batching engine hands out the tokens of all sequences once a step, so the arrivals of a trial
come in bunches, and the time from one bunch to the next is a step. Nothing of the engine's inside is asked.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guards.trace import Stage
from profiler.analysis.columns import Calls, Ints, Spans
from profiler.analysis.timeline import Floats

WORK = (Stage.PREFILL.value, Stage.DECODE.value, Stage.WORK.value)
# Arrivals nearer to each other than this share of a step belong together.
_BUNCH = 0.25


@dataclass(frozen=True)
class Steps:
    """Steps of one trial in order, shape (steps,).

    `turns` is how many tokens a sequence got (more than one where the reader was late), `tokens` those that all
    sequences decoded, `prompt_tokens` those of the requests whose first token it brought, `prompt_copies`
    those tokens again for every candidate but the first (engines may share a prompt or read it once for each),
    `wasted_*` the part of each that no user got. `work_ms` is how long guards worked during the step.
    """

    start_ns: Ints
    end_ns: Ints
    turns: Floats
    tokens: Floats
    prompt_tokens: Floats
    prompt_copies: Floats
    wasted_turns: Floats
    wasted_tokens: Floats
    wasted_prompt_tokens: Floats
    wasted_prompt_copies: Floats
    work_ms: Floats

    @property
    def duration_ms(self) -> Floats:
        """Length of each step."""
        return (self.end_ns - self.start_ns) / 1e6

    @property
    def load(self) -> Floats:
        """What a step consists of, shape (steps, 4): turns, tokens, prompt tokens, their copies."""
        return np.stack([self.turns, self.tokens, self.prompt_tokens, self.prompt_copies], axis=1)

    @property
    def wasted(self) -> Floats:
        """The same of what no user got."""
        return np.stack(
            [self.wasted_turns, self.wasted_tokens, self.wasted_prompt_tokens, self.wasted_prompt_copies], axis=1
        )


def steps_of(calls: Calls, spans: Spans, delivered: Ints) -> Steps | None:
    """Reconstruct the steps; None where too few tokens came to tell. `delivered` is tokens per request."""
    period_ns = _period_ns(calls)
    if period_ns <= 0:
        return None
    order = np.argsort(calls.chunk_ns, kind="stable")
    when, call, tokens = calls.chunk_ns[order], calls.chunk_call[order], calls.chunk_tokens[order]
    bunch = np.cumsum(np.diff(when, prepend=when[0]) > _BUNCH * period_ns).astype(np.int64)
    count = int(bunch[-1]) + 1
    end_ns = np.zeros(count, dtype=np.int64)
    end_ns[bunch] = when  # the last arrival of the bunch
    turns = np.ones(count)
    np.maximum.at(turns, bunch, tokens / 1.0)
    place = _place_in_call(calls)[order]
    # A request's first tokens come out of its prefill: they cost no decoding.
    decoded = np.where(place < calls.candidates[call], 0, tokens)
    prompts = np.where(place == 0, calls.prompt_tokens[call], 0)
    more = calls.candidates[call] - 1
    wasted = _wasted_share(calls, delivered)[call]
    needless = np.minimum(wasted * calls.candidates[call] / np.maximum(more, 1), 1.0)
    start_ns = _starts(end_ns, calls)
    return Steps(
        start_ns,
        end_ns,
        turns,
        _sum(bunch, decoded, count),
        _sum(bunch, prompts, count),
        _sum(bunch, prompts * more, count),
        np.where(_sum(bunch, wasted < 1, count) == 0, turns, 0.0),
        _sum(bunch, decoded * wasted, count),
        _sum(bunch, np.where(wasted >= 1, prompts, 0), count),
        _sum(bunch, prompts * more * needless, count),
        work_ms(spans, start_ns, end_ns),
    )


def work_ms(spans: Spans, start_ns: Ints, end_ns: Ints) -> Floats:
    """How long guards worked in each [start, end]; work at the same time by one guard counts once."""
    total = np.zeros(len(start_ns))
    working = spans.of_stage(*WORK)
    for guard in np.unique(spans.guard[working]):
        mine = working & (spans.guard == guard)
        begin, finish = _union(spans.start_ns[mine], spans.end_ns[mine])
        edges = np.stack([begin, finish], axis=1).ravel()
        done_ms = np.cumsum(np.stack([np.zeros(len(begin)), (finish - begin) / 1e6], axis=1).ravel())
        total += np.interp(end_ns, edges, done_ms) - np.interp(start_ns, edges, done_ms)
    return total


def _union(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    fresh = np.concatenate([[True], start[1:] > reach[:-1]])
    return start[fresh], reach[np.concatenate([fresh[1:], [True]])]


def _period_ns(calls: Calls) -> float:
    """Median time between a sequence's tokens: between arrivals of a call as many apart as it has candidates."""
    ahead = np.arange(len(calls.chunk_ns)) + calls.candidates[calls.chunk_call]
    inside = ahead < len(calls.chunk_ns)
    here, there = np.flatnonzero(inside), ahead[inside]
    same = calls.chunk_call[here] == calls.chunk_call[there]
    gaps = calls.chunk_ns[there[same]] - calls.chunk_ns[here[same]]
    return float(np.median(gaps)) if len(gaps) else 0.0


def _place_in_call(calls: Calls) -> Ints:
    """0 for a call's first chunk, 1 for its second, and so on."""
    begins = np.diff(calls.chunk_call, prepend=-1) != 0
    place = np.arange(len(calls.chunk_call))
    return np.asarray(place - np.maximum.accumulate(np.where(begins, place, 0)))


def _wasted_share(calls: Calls, delivered: Ints) -> Floats:
    """Which part of each call's tokens no user got; spread evenly, since records do not tell candidates apart."""
    made = np.bincount(calls.request, calls.output_tokens, len(delivered))
    share = 1 - np.minimum(delivered / np.maximum(made, 1), 1.0)
    return np.asarray(share[calls.request], dtype=np.float64)


def _starts(end_ns: Ints, calls: Calls) -> Ints:
    """A step starts where the last ended, or, if the engine had nothing to do then, with the next request."""
    before = np.concatenate([[np.iinfo(np.int64).min // 2], end_ns[:-1]])
    sent, over = np.sort(calls.sent_ns), np.sort(np.where(calls.aborted, calls.ended_ns, calls.last_ns))
    running = np.searchsorted(sent, before, "right") - np.searchsorted(over, before, "right")
    following = sent[np.minimum(np.searchsorted(sent, before, "right"), len(sent) - 1)]
    start = np.where(running > 0, before, np.maximum(following, before))
    return np.asarray(np.minimum(start, end_ns))


def _sum(group: Ints, values: npt.ArrayLike, count: int) -> Floats:
    return np.asarray(np.bincount(group, np.asarray(values, dtype=np.float64), count), dtype=np.float64)
