"""Waiting for a moment, to a fraction of a millisecond."""

import asyncio
from collections.abc import Callable

# epoll rounds a sleep up to a whole millisecond, so the last stretch is waited for by turning the loop.
# The price is a core kept awake for this long before each moment.
_TURN_NS = 1_500_000


async def until(due_ns: int, now_ns: Callable[[], int]) -> None:
    """Sleep through most of the wait, then let the loop turn until `due_ns` (of `now_ns`) has come."""
    if (ahead_ns := due_ns - now_ns() - _TURN_NS) > 0:
        await asyncio.sleep(ahead_ns / 1e9)
    while (before_ns := now_ns()) < due_ns:
        await asyncio.sleep(0)
        if now_ns() == before_ns:
            # A clock that stands still while the loop turns is a virtual one: only sleep moves it.
            await asyncio.sleep((due_ns - before_ns) / 1e9)
