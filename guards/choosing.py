"""Candidates that have been judged: which of them answers, and what the user waited for meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from guards.candidates import Candidate, Sampled
from guards.generation import GenerationError
from guards.trace import Stage, Trace
from guards.verdict import Action, Status, Verdict

# What a verdict may ask for, and the candidate be shown as it is.
_SHOWN = (Action.ALLOW, Action.FLAG)


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with its verdict and utility."""

    candidate: Candidate
    verdict: Verdict
    utility: float

    @property
    def passed(self) -> bool:
        """Whether it was judged and may be shown."""
        return self.verdict.status is Status.OK and self.verdict.action in _SHOWN


@dataclass(frozen=True, slots=True)
class Round:
    """What one call of the engine brought, and when all of it was judged (ns)."""

    sampled: Sampled
    judged: tuple[Judged, ...]
    judged_ns: int


def settled(candidate: Candidate, found: Verdict | None) -> Verdict:
    """The verdict as a reranker means it: a candidate is shown as it is or not at all.

    None, for a candidate that was not judged because it never came to its end, becomes `skipped`.
    """
    if found is None:
        why = f"not judged: it ended in '{candidate.ending}'" if candidate.ending else "not judged: it did not end"
        return Verdict(Action.BLOCK, status=Status.SKIPPED, detail=why)
    return found if found.action in _SHOWN else replace(found, action=Action.BLOCK)


def best(judged: Sequence[Judged]) -> Judged | None:
    """The one of the highest utility among those that passed, or the first whose judge failed open; or none."""
    if passed := [one for one in judged if one.passed]:
        return max(passed, key=lambda one: one.utility)
    return next((one for one in judged if one.verdict.action in _SHOWN), None)


def raise_if_none_came(rounds: Sequence[Round]) -> None:
    """Where the engine finished no candidate, and no guard inside cut one, the request has failed.

    Raises:
        GenerationError: the engine's last error, or that it gave all candidates up.
    """
    candidates = [one for found in rounds for one in found.sampled.candidates]
    if any(one.whole or one.ending == "cut" for one in candidates):
        return
    errors = [found.sampled.error for found in rounds if found.sampled.error is not None]
    raise errors[-1] if errors else GenerationError("the engine gave up every candidate")


def record_wait(trace: Trace, guard: str, rounds: Sequence[Round], chosen: Judged | None) -> None:
    """Write what the user waited for: the chosen candidate's call is the engine's time, the other rounds are not.

    Rounds before and after the chosen one's are waited for as `candidates`, and so are the slower candidates of its
    own. Of a refusal the last round counts as the chosen one's.
    """
    for found in rounds:
        trace.span(guard, Stage.SCORING, found.sampled.ended_ns, found.judged_ns, critical=True)
    kept = next((found for found in rounds if chosen in found.judged), rounds[-1])
    if kept is not rounds[0]:
        trace.span(guard, Stage.CANDIDATES, rounds[0].sampled.sent_ns, kept.sampled.sent_ns, critical=True)
    came_ns = [delta.emitted_ns for one in kept.sampled.candidates for delta in one.deltas]
    if not came_ns:
        return
    done_ns = max(came_ns) if chosen is None else chosen.candidate.last_ns
    trace.span(guard, Stage.HOLD_BACK, min(came_ns), done_ns, critical=True)
    if chosen is not None:
        until_ns = max(came_ns) if kept is rounds[-1] else rounds[-1].sampled.ended_ns
        trace.span(guard, Stage.CANDIDATES, done_ns, until_ns, critical=True)
