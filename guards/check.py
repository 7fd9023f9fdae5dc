"""Ask a scorer for a verdict: timeouts and failures become verdicts, time becomes spans."""

from dataclasses import dataclass
from typing import Literal

from guards.asking import ScorerFailed, ask
from guards.guard import Score, Scorer, Skipped, impossible
from guards.subject import Subject
from guards.told import message, storable, told
from guards.trace import Stage, Trace
from guards.verdict import Action, Status, Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """When a score becomes an action, and what happens when there is no score.

    `on_error` "open" lets the text pass, "closed" blocks it. `timeout_ms` None waits for ever. Not `enforced`:
    whatever the verdict, the text passes; it is recorded, with the action `flag` where it would have been another.
    """

    threshold: float = 0.5
    action: Literal["block", "redact", "rewrite", "flag"] = "block"
    on_error: Literal["open", "closed"] = "open"
    timeout_ms: float | None = None
    enforced: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict with the score behind it (None where the scorer failed)."""

    verdict: Verdict
    score: Score | None


async def check(scorer: Scorer, subject: Subject, policy: Policy) -> Check:
    """Judge `subject`. Never raises for a scorer's failure: that is a verdict with its own status."""
    try:
        score = await ask(scorer, subject, policy.timeout_ms)
    except TimeoutError as error:
        # A scorer has timeouts of its own, too: a connection's, or the breaker's.
        return Check(failed(policy, Status.TIMEOUT, message(error)), None)
    except Skipped as why:
        return Check(failed(policy, Status.SKIPPED, message(why)), None)
    except ScorerFailed as error:
        return Check(failed(policy, Status.ERROR, message(error)), None)
    except Exception as error:  # noqa: BLE001 - whatever a guard raises is counted, never lost or fatal
        return Check(failed(policy, Status.ERROR, told(error)), None)
    return judged(score, policy)


def failed(policy: Policy, status: Status, detail: str) -> Verdict:
    """The verdict of a scorer that gave no score."""
    action = Action.ALLOW if policy.on_error == "open" or not policy.enforced else Action.BLOCK
    return Verdict(action, status=status, detail=storable(detail))


def judged(score: Score, policy: Policy) -> Check:
    """What the policy makes of a score."""
    if wrong := impossible(score):
        return Check(failed(policy, Status.ERROR, wrong), score)
    # A scorer's numbers may be numpy's.
    p_unsafe = None if score.p_unsafe is None else float(score.p_unsafe)
    p_refusal = None if score.p_refusal is None else float(score.p_refusal)
    action, detail = _action(score, policy), score.detail and storable(score.detail)
    return Check(Verdict(action, p_unsafe, p_refusal, score.categories, score.spans, detail=detail), score)


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
    return action if policy.enforced or action is Action.ALLOW else Action.FLAG


def record_stages(trace: Trace, guard: str, score: Score | None, *, critical: bool) -> None:
    """Write a score's waiting and working time as spans, and those of the scores that it replaces."""
    if score is None:
        return
    for earlier in score.before:
        record_stages(trace, guard, earlier, critical=critical)
    if score.started_ns > score.queued_ns:
        trace.span(guard, Stage.QUEUE, score.queued_ns, score.started_ns, critical=critical)
    read_ns = score.first_ns or score.ended_ns
    trace.span(guard, Stage.PREFILL, score.started_ns, read_ns, critical=critical)
    if score.ended_ns > read_ns:
        trace.span(guard, Stage.DECODE, read_ns, score.ended_ns, critical=critical)
