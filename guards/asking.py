"""Ask a scorer once: whatever goes wrong is an ordinary exception, and only a cancel from outside stays one."""

import asyncio
from numbers import Real

from guards.guard import Score, Scorer
from guards.subject import Subject
from guards.told import told
from guards.verdict import Action, TextSpan

# What the columns hold in which a run is stored.
_LAST_CHAR, _LAST_NS = 2**31 - 1, 2**63 - 1
_ADVICE, _REWRITTEN = (Action, type(None)), (str, type(None))


class ScorerFailed(RuntimeError):
    """A scorer gave no score, or raised what is no `Exception`; the message says what."""


def cancels_asked() -> int:
    """How often the running task was told to end. A `CancelledError` without one more is of the code's own making."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


async def ask(scorer: Scorer, subject: Subject, timeout_ms: float | None = None) -> Score:
    """The scorer's answer, if it is a score and in time. Its probabilities may still be `impossible`.

    Raises:
        TimeoutError: no answer within `timeout_ms`, or one that came after it.
        ScorerFailed: no score, or a `CancelledError` of the scorer's own, a `SystemExit`, a Rust library's panic.
        Exception: whatever else the scorer raises.
        CancelledError: from outside, even where the scorer has swallowed it.
    """
    before = cancels_asked()
    timer = None if timeout_ms is None else asyncio.timeout(timeout_ms / 1e3)
    try:
        if timer is None:
            score = await scorer.score(subject)
        else:
            async with timer:
                score = await scorer.score(subject)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if cancels_asked() > before:
            raise asyncio.CancelledError from error
        if timer is not None and timer.expired():
            raise TimeoutError(f"no answer in {timeout_ms:g} ms") from error
        if isinstance(error, Exception):
            raise
        raise ScorerFailed(told(error)) from error
    if cancels_asked() > before:
        raise asyncio.CancelledError
    if timer is not None and timer.expired():
        raise TimeoutError(f"no answer in {timeout_ms:g} ms")
    if wrong := unsound(score):
        raise ScorerFailed(wrong)
    return score


def unsound(found: object) -> str:
    """Why a scorer's answer is no score, or one that could not be stored; nothing where it is sound."""
    if not isinstance(found, Score):
        return f"the scorer returned {type(found).__name__}, not a Score"
    for p in (found.p_unsafe, found.p_refusal):
        if p is not None and type(p) is not float and not _is_number(p):
            return f"a probability is {type(p).__name__}, not a number from 0 to 1"
    for at in (found.queued_ns, found.started_ns, found.first_ns, found.ended_ns):
        if not _is_whole(at, _LAST_NS):
            return f"a time is {at!r}, not ns"[:80]
    if found.categories != () and not _all(found.categories, str):
        return "its categories are not texts"
    if found.spans != () and not (_all(found.spans, TextSpan) and all(map(_in_text, found.spans))):
        return "its spans are not spans of a text"
    if not isinstance(found.advice, _ADVICE):
        return "its advice is no action"
    if not isinstance(found.detail, str) or not isinstance(found.rewritten, _REWRITTEN):
        return "its detail, or what it rewrote, is no text"
    return ""


def _is_number(p: object) -> bool:
    # A whole number of thousands of digits is none of ours, and cannot even be shown.
    return isinstance(p, Real) and not isinstance(p, bool) and (not isinstance(p, int) or p in (0, 1))


def _all(found: object, kind: type) -> bool:
    return isinstance(found, tuple | list) and all(isinstance(one, kind) for one in found)


def _is_whole(number: object, most: int) -> bool:
    return isinstance(number, int) and 0 <= number <= most


def _in_text(span: TextSpan) -> bool:
    ordered = _is_whole(span.start, _LAST_CHAR) and _is_whole(span.end, _LAST_CHAR) and span.start <= span.end
    return ordered and isinstance(span.category, str)
