"""Which answers of a server are asked for again, and after how long.

Exponential backoff with full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015).
Retry-After: RFC 9110, section 10.2.3.
"""

import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from random import Random

RETRIED = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Retry:
    """Asks `retries` times more, never waiting longer than `longest_ms` for what the server or chance says."""

    retries: int = 2
    backoff_ms: float = 100.0
    longest_ms: float = 5000.0
    random: Random = field(default_factory=Random, repr=False)

    def wait_s(self, failures: int, retry_after_s: float | None = None) -> float | None:
        """How long to wait after `failures` failures; None: give up.

        The server's Retry-After comes on top of the jitter. One that is longer than `longest_ms` is not waited for.
        """
        if failures > self.retries:
            return None
        ceiling_ms = min(self.longest_ms, self.backoff_ms * 2.0 ** (failures - 1))
        jitter_s = self.random.uniform(0.0, ceiling_ms) / 1e3
        if retry_after_s is None:
            return jitter_s
        return None if retry_after_s > self.longest_ms / 1e3 else retry_after_s + jitter_s


def retry_after_s(value: str | None, now_s: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None where it says neither."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        due_s = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, due_s - (time.time() if now_s is None else now_s))
