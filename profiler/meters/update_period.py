"""How often a driver gives a new value: found by watching when it changes."""

import time
from collections.abc import Callable
from statistics import median

_WATCHED_S = 1.0
_LOOK_EVERY_S = 0.001


def update_period_s(
    read: Callable[[], float],
    *,
    now_ns: Callable[[], int] = time.monotonic_ns,
    pause: Callable[[float], None] = time.sleep,
) -> float | None:
    """Median seconds between two changes, from a second of looking every millisecond; None below two gaps.

    A value that is the same twice running hides a change, so this is an upper bound.
    """
    last, changed_ns = read(), list[int]()
    until_ns = now_ns() + round(_WATCHED_S * 1e9)
    while (t_ns := now_ns()) < until_ns:
        if (value := read()) != last:
            last = value
            changed_ns.append(t_ns)
        pause(_LOOK_EVERY_S)
    gaps = [after - before for before, after in zip(changed_ns, changed_ns[1:], strict=False)]
    return median(gaps) / 1e9 if len(gaps) >= 2 else None
