"""Sending requests on time: open loop (at given times) and closed loop (a fixed number of users)."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from guards.waiting import until

# Sends request `index`, due at `scheduled_ns` (of the clock that the dispatcher was given).
Send = Callable[[int, int], Coroutine[Any, Any, None]]

# Taking a request holds vLLM's front end for about 1 ms: users who began at once would wait for each other.
STAGGER_NS = 5_000_000


async def open_loop(offsets_ns: npt.NDArray[np.int64], send: Send, *, now_ns: Callable[[], int]) -> int:
    """Start `send(i, start + offsets_ns[i])` at that time, whatever became of the earlier ones.

    Returns once all have ended, with the start (ns of `now_ns`). Requests due at once start together; one
    that is late starts at once, with its scheduled time unchanged, so that the lag is seen.

    Args:
        offsets_ns: shape (n,), not decreasing, ns from the start.
        send: sends one request and deals with its failure.
        now_ns: the loop's clock, real or virtual.

    Raises:
        ValueError: the offsets decrease.
        ExceptionGroup: a `send` raised; the others are cancelled. Cancelling `open_loop` cancels all.
    """
    if np.any(np.diff(offsets_ns) < 0):
        raise ValueError("offsets_ns must not decrease")
    start_ns = now_ns()
    async with asyncio.TaskGroup() as group:
        for index, offset_ns in enumerate(offsets_ns.tolist()):
            due_ns = start_ns + offset_ns
            if due_ns > now_ns():
                await until(due_ns, now_ns)
            group.create_task(send(index, due_ns))
    return start_ns


async def closed_loop(
    n: int, users: int, send: Send, *, now_ns: Callable[[], int], stagger_ns: int = STAGGER_NS
) -> int:
    """Let `users` users send requests 0..n-1, each taking the next index when its last has ended.

    Users begin `stagger_ns` apart. A request's scheduled time is when its user was due to begin, or became
    free: response and service time are the same. Returns once all have ended, with the start (ns of `now_ns`).

    Raises:
        ValueError: there are no users.
        ExceptionGroup: a `send` raised; the others are cancelled. Cancelling `closed_loop` cancels all.
    """
    if users < 1:
        raise ValueError(f"users must be at least 1, is {users}")
    start_ns = now_ns()
    indices = iter(range(n))
    async with asyncio.TaskGroup() as group:
        for user in range(min(users, n)):
            group.create_task(_user(indices, send, start_ns + user * stagger_ns, now_ns))
    return start_ns


async def _user(indices: Iterator[int], send: Send, due_ns: int, now_ns: Callable[[], int]) -> None:
    if due_ns > now_ns():
        await until(due_ns, now_ns)
    for index in indices:
        await send(index, due_ns)
        due_ns = now_ns()
