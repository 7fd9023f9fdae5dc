"""Circuit breaker: a scorer that keeps failing is left alone for a while.

    closed     every text is judged; `failures` failures in a row open it
    open       nothing is judged for `cooldown_s`: each check is `Skipped`
    half open  one text is judged, the rest are skipped; its success closes the breaker, its failure opens it again

After M. Nygard, "Release It!" (2007), chapter 5.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from guards.guard import Score, Scorer, Skipped, impossible
from guards.subject import Subject


class Breaker:
    """Wraps a scorer. An exception, an impossible probability and an answer later than `timeout_ms` are failures.

    A check that is cancelled from outside (the user left, another guard has blocked) says nothing of the
    scorer. A check that began before the breaker opened neither closes nor re-opens it.
    """

    def __init__(
        self,
        scorer: Scorer,
        failures: int = 5,
        cooldown_s: float = 10.0,
        timeout_ms: float | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Closed, with no failure so far."""
        self.scorer, self._limit, self._now_ns = scorer, failures, now_ns
        self._cooldown_ns, self._timeout_ms = round(cooldown_s * 1e9), timeout_ms
        self._failed = 0
        self._retry_ns: int | None = None  # None while closed
        self._trying = False

    @property
    def max_match_chars(self) -> int:
        """The wrapped scorer's."""
        return self.scorer.max_match_chars

    async def score(self, subject: Subject) -> Score:
        """Judge one subject, if the breaker lets it.

        Raises:
            Skipped: the breaker is open.
            TimeoutError: no answer within `timeout_ms`.
            Exception: whatever the scorer raises.
        """
        with self._turn() as trial:
            score = await self._in_time(subject)
            self._note(failed=bool(impossible(score)), trial=trial)
            return score

    async def _in_time(self, subject: Subject) -> Score:
        timer = asyncio.timeout(None if self._timeout_ms is None else self._timeout_ms / 1e3)
        try:
            async with timer:
                return await self.scorer.score(subject)
        except TimeoutError as error:
            if timer.expired():
                raise TimeoutError(f"no answer in {self._timeout_ms:g} ms") from error
            raise

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Let one check through, say whether it is the trial, and note that it raised, if it does."""
        trial = self._retry_ns is not None
        if self._retry_ns is not None and (self._trying or self._now_ns() < self._retry_ns):
            raise Skipped(f"breaker open after {self._failed} failures in a row")
        self._trying = trial
        try:
            yield trial
        except Exception:
            self._note(failed=True, trial=trial)
            raise
        finally:
            if trial:
                self._trying = False

    def _note(self, *, failed: bool, trial: bool) -> None:
        if self._retry_ns is not None and not trial:
            return  # it began before the breaker opened
        self._failed = self._failed + 1 if failed else 0
        self._retry_ns = self._now_ns() + self._cooldown_ns if self._failed >= self._limit else None
