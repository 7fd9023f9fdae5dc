"""The engine's steps, reconstructed from when its tokens came.

A continuous-batching engine hands out the tokens of all sequences once a step, so the arrivals of a trial
come in bunches, and the time from one bunch to the next is a step. Nothing of the engine's inside is asked.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guards.trace import Stage
from profiler.analysis.candidates import passed_over
from profiler.analysis.columns import Bools, Calls, Ints, Spans
from profiler.analysis.timeline import Floats

WORK = (Stage.PREFILL.value, Stage.DECODE.value, Stage.WORK.value)
# Arrivals nearer to each other than this share of a step belong together.
_BUNCH = 0.25
# Arrivals that are looked at to find out how long a step is.
_SAMPLE = 65_536


@dataclass(frozen=True)
class Work:
    """When the guards of a trial worked: for each guard, edges in ns and the work done by then, ms."""

    guards: tuple[tuple[Ints, Floats], ...]

    @classmethod
    def of(cls, spans: Spans) -> "Work":
        """From the spans; work at the same time by one guard counts once."""
        working, found = _once(spans, spans.of_stage(*WORK)), []
        for guard in np.unique(spans.guard[working]):
            mine = working & (spans.guard == guard)
            begin, finish = _union(spans.start_ns[mine], spans.end_ns[mine])
            edges = np.stack([begin, finish], axis=1).ravel()
            done_ms = np.cumsum(np.stack([np.zeros(len(begin)), (finish - begin) / 1e6], axis=1).ravel())
            found.append((edges, done_ms))
        return cls(tuple(found))

    def between(self, start_ns: Ints, end_ns: Ints) -> Floats:
        """How long guards worked in each [start, end], ms."""
        total = np.zeros(len(start_ns))
        for edges, done_ms in self.guards:
            total += np.interp(end_ns, edges, done_ms) - np.interp(start_ns, edges, done_ms)
        return total


@dataclass(frozen=True)
class Steps:
    """Steps of one trial in order, shape (steps,).

    `turns` is how many tokens a sequence got (more than one where the reader was late), `tokens` those that all
    sequences decoded, `prompt_tokens` those of the requests whose first token it brought, `prompt_copies`
    those tokens again for every candidate but the first (engines may share a prompt or read it once for each),
    `wasted_*` the part of each that no user got. `work_ms` is how long guards worked during the step, out of
    all their `work`.
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
    work: Work

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
    when, tokens = calls.chunk_ns[order], calls.chunk_tokens[order]
    begins = np.flatnonzero(np.diff(when, prepend=when[0] - round(period_ns)) > _BUNCH * period_ns)
    begins = _split(begins, when, calls.chunk_call[order], calls.candidates, period_ns)
    end_ns = when[np.append(begins[1:], len(when)) - 1]
    start_ns, work = _starts(end_ns, calls), Work.of(spans)
    return Steps(
        start_ns,
        end_ns,
        np.maximum(np.maximum.reduceat(tokens, begins), 1).astype(np.float64),
        *_load(calls, end_ns, np.add.reduceat(tokens, begins)),
        *_wasted(calls, end_ns, _wasted_share(calls, delivered, passed_over(calls, spans))),
        work.between(start_ns, end_ns),
        work,
    )


def _split(begins: Ints, when: Ints, call: Ints, candidates: Ints, period_ns: float) -> Ints:
    """Begin anew where a call appears again in a bunch: a reader that is nearly always late has steps run together."""
    ends = np.append(begins[1:], len(when))
    long = np.flatnonzero(when[ends - 1] - when[begins] > 2 * _BUNCH * period_ns)
    more: list[int] = []
    for bunch in long.tolist():
        seen: Counter[int] = Counter()
        first = int(begins[bunch])
        for place, which in enumerate(call[first : ends[bunch]].tolist(), first):
            if seen[which] >= candidates[which]:
                more.append(place)
                seen.clear()
            seen[which] += 1
    return np.union1d(begins, np.array(more, dtype=np.int64)) if more else begins


def _load(calls: Calls, end_ns: Ints, tokens: Ints) -> tuple[Floats, Floats, Floats]:
    """Tokens decoded in each step, prompt tokens read, and copies of these."""
    count, (first, firsts) = len(end_ns), _firsts(calls)
    at = np.searchsorted(end_ns, calls.chunk_ns[first])
    prompts = calls.prompt_tokens[calls.chunk_call[first]]
    copies = prompts * (calls.candidates[calls.chunk_call[first]] - 1)
    # A request's first tokens come out of its prefill: they cost no decoding.
    free = _sum(np.searchsorted(end_ns, calls.chunk_ns[firsts]), calls.chunk_tokens[firsts], count)
    return tokens - free, _sum(at, prompts, count), _sum(at, copies, count)


def _wasted(calls: Calls, end_ns: Ints, share: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Turns, tokens, prompt tokens and copies of each step that no user got."""
    count = len(end_ns)
    if not (share > 0).any():
        return np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
    first, firsts = _firsts(calls)
    decoded = np.ones(len(calls.chunk_ns), dtype=np.bool_)
    decoded[firsts] = False
    lossy = share[calls.chunk_call] > 0
    at = np.searchsorted(end_ns, calls.chunk_ns)
    lost = _sum(at[lossy], (calls.chunk_tokens * decoded * share[calls.chunk_call])[lossy], count)
    useful = _sum(at, share[calls.chunk_call] < 1, count) > 0
    call = calls.chunk_call[first]
    more = calls.candidates[call] - 1
    needless = np.minimum(share[call] * calls.candidates[call] / np.maximum(more, 1), 1.0)
    prompts = calls.prompt_tokens[call]
    return (
        np.where(useful, 0.0, 1.0),
        lost,
        _sum(at[first], prompts * (share[call] >= 1), count),
        _sum(at[first], prompts * more * needless, count),
    )


def _once(spans: Spans, working: Bools) -> Bools:
    """Of equal stretches of work by several guards, as of a batch in the worker that they share, only the first."""
    if len(np.unique(spans.guard[working])) < 2:
        return working
    at = np.flatnonzero(working)
    order = np.lexsort((at, spans.end_ns[at], spans.start_ns[at]))
    start, end = spans.start_ns[at][order], spans.end_ns[at][order]
    again = np.concatenate([[False], (np.diff(start) == 0) & (np.diff(end) == 0)])
    kept = np.zeros(len(working), dtype=np.bool_)
    kept[at[order[~again]]] = True
    return kept


def _union(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    fresh = np.concatenate([[True], start[1:] > reach[:-1]])
    return start[fresh], reach[np.concatenate([fresh[1:], [True]])]


def _period_ns(calls: Calls) -> float:
    """Median time between a sequence's tokens: between arrivals of a call as many apart as it has candidates."""
    call, when = calls.chunk_call[:_SAMPLE], calls.chunk_ns[:_SAMPLE]
    ahead = np.arange(len(when)) + calls.candidates[call]
    here = np.flatnonzero(ahead < len(when))
    here = here[call[here] == call[ahead[here]]]
    gaps = when[ahead[here]] - when[here]
    return float(np.median(gaps)) if len(gaps) else 0.0


def _firsts(calls: Calls) -> tuple[Ints, Ints]:
    """Where each call's first chunk is, and where the first chunks of all its candidates are."""
    first = np.flatnonzero(np.diff(calls.chunk_call, prepend=-1) != 0)
    sizes = np.diff(np.append(first, len(calls.chunk_call)))
    many = np.minimum(calls.candidates[calls.chunk_call[first]], sizes)
    place = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
    return first, np.repeat(first, many) + place


def _wasted_share(calls: Calls, delivered: Ints, needless: Bools) -> Floats:
    """Which part of each call's tokens no user got: all of a call that was needless as a whole.

    Of the others it is spread evenly, since records do not tell the candidates of a call apart.
    """
    made = _sum(calls.request[~needless], calls.output_tokens[~needless], len(delivered))
    share = 1 - np.minimum(delivered / np.maximum(made, 1), 1.0)
    return np.asarray(np.where(needless, 1.0, share[calls.request]), dtype=np.float64)


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
