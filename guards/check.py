"""Ask a scorer for a verdict: timeouts and failures become verdicts, time becomes spans."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from guards.guard import Score, Scorer, Skipped, impossible
from guards.subject import Subject
from guards.trace import Stage, Trace
from guards.verdict import Action, Status, Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """When a score becomes an action, and what happens when there is no score.

    `on_error` "open" lets the text pass, "closed" blocks it. `timeout_ms` None waits for ever.
    """

    threshold: float = 0.5
    action: Literal["block", "redact", "rewrite", "flag"] = "block"
    on_error: Literal["open", "closed"] = "open"
    timeout_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict with the score behind it (None where the scorer failed)."""

    verdict: Verdict
    score: Score | None


async def check(scorer: Scorer, subject: Subject, policy: Policy) -> Check:
    """Judge `subject`. Never raises for a scorer's failure: that is a verdict with its own status."""
    timer = asyncio.timeout(None if policy.timeout_ms is None else policy.timeout_ms / 1e3)
    try:
        async with timer:
            score = await scorer.score(subject)
    except TimeoutError as error:
        # A scorer has timeouts of its own, too: a connection's, or the breaker's.
        detail = f"no answer in {policy.timeout_ms:g} ms" if timer.expired() else str(error)
        return Check(failed(policy, Status.TIMEOUT, detail), None)
    except Skipped as why:
        return Check(failed(policy, Status.SKIPPED, str(why)), None)
    except Exception as error:  # noqa: BLE001 - whatever a guard raises is counted, never lost or fatal
        return Check(failed(policy, Status.ERROR, f"{type(error).__name__}: {error}"), None)
    return judged(score, policy)


def failed(policy: Policy, status: Status, detail: str) -> Verdict:
    """The verdict of a scorer that gave no score."""
    action = Action.ALLOW if policy.on_error == "open" else Action.BLOCK
    return Verdict(action, status=status, detail=detail[:200])


def judged(score: Score, policy: Policy) -> Check:
    """What the policy makes of a score."""
    if wrong := impossible(score):
        return Check(failed(policy, Status.ERROR, wrong), score)
    action, detail = _action(score, policy), score.detail[:200]
    return Check(Verdict(action, score.p_unsafe, score.p_refusal, score.categories, score.spans, detail=detail), score)


def _action(score: Score, policy: Policy) -> Action:
    """What the policy makes of a score: the scorer's own advice goes before the threshold."""
    p = score.p_unsafe
    unsafe = bool(score.spans) or (p is not None and p >= policy.threshold)
    action = score.advice or (Action.BLOCK if unsafe else Action.ALLOW)
    if action is Action.BLOCK:
        action = Action(policy.action)
    if (action is Action.REDACT and not score.spans) or (action is Action.REWRITE and score.rewritten is None):
        # Nothing to point at, nothing to put in its place: such a text can only be stopped.
        action = Action.BLOCK
    return action


def record_stages(trace: Trace, guard: str, score: Score | None, *, critical: bool) -> None:
    """Write a score's waiting and working time as spans."""
    if score is None:
        return
    if score.started_ns > score.queued_ns:
        trace.span(guard, Stage.QUEUE, score.queued_ns, score.started_ns, critical=critical)
    read_ns = score.first_ns or score.ended_ns
    trace.span(guard, Stage.PREFILL, score.started_ns, read_ns, critical=critical)
    if score.ended_ns > read_ns:
        trace.span(guard, Stage.DECODE, read_ns, score.ended_ns, critical=critical)
