"""How noisy a machine is: the same fixed work over and over, and how much its time differs from second to second.

The judgement takes a second's mean for a block of a short run: a tax is a difference of two such means, and the
smallest that `BLOCKS` pairs of them find (80 % power, 5 %, two-sided) is what the machine can tell.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from profiler.analysis.stats.effect import minimum_detectable_effect
from profiler.meters.not_measured import NotMeasured

SECONDS = 10
BLOCKS = 5
_STAT = Path("/proc/stat")
# user, nice, system, idle, iowait, irq, softirq, steal: guest time is in user already.
_FIELDS, _STEAL, _IDLE = 8, 7, (3, 4)


@dataclass(frozen=True)
class NoiseFloor:
    """`spread`: standard deviation of the seconds' mean times over their mean. Shares are of all cores' time.

    `steal`: taken by the host; `busy`: used by anything, this measurement included. None where not told.
    """

    unit_ms: float
    seconds: int
    spread: float
    detectable: float
    steal: float | None
    busy: float | None


def noise_floor(
    work: Callable[[], None] | None = None,
    now_ns: Callable[[], int] = time.perf_counter_ns,
    seconds: int = SECONDS,
    stat: Callable[[], tuple[int, ...] | None] | None = None,
) -> NoiseFloor | NotMeasured:
    """Work for `seconds` on one core. Each second's mean time of a unit of work is one value."""
    work, stat = work or _work, stat or read_stat
    before = stat()
    means = [_second(work, now_ns) for _ in range(seconds)]
    after = stat()
    if len(means) < 2 or not mean(means) > 0:
        return NotMeasured("the clock stands still")
    spread = stdev(means) / mean(means)
    steal, busy = _shares(before, after)
    detectable = minimum_detectable_effect(spread * (2 / BLOCKS) ** 0.5, BLOCKS - 1)
    return NoiseFloor(mean(means) / 1e6, seconds, spread, detectable, steal, busy)


def judgement(found: NoiseFloor) -> str:
    """One line: the spread, and what size of tax can be told from it."""
    steal = "" if found.steal is None else f", {_percent(found.steal)} stolen by the host"
    busy = "" if found.busy is None else f", cores {found.busy:.0%} busy"
    return (
        f"{_percent(found.spread)} from second to second{steal}{busy}: a short run ({BLOCKS} blocks) can tell a tax of "
        f"about {_percent(found.detectable)}"
    )


def read_stat(path: Path = _STAT) -> tuple[int, ...] | None:
    """Ticks of all cores since boot, by kind; None where the kernel tells none."""
    try:
        first = path.read_text(encoding="ascii").splitlines()[0].split()
        return tuple(map(int, first[1 : 1 + _FIELDS])) if len(first) > _FIELDS else None
    except (OSError, ValueError, IndexError):
        return None


def _second(work: Callable[[], None], now_ns: Callable[[], int]) -> float:
    """Units of work for a second; nanoseconds that one took on average."""
    began_ns, units = now_ns(), 0
    while (past_ns := now_ns() - began_ns) < 1_000_000_000:
        work()
        units += 1
        if units > 1_000_000:  # a clock that does not go on
            return 0.0
    return past_ns / units


def _work() -> None:
    """Some milliseconds of pure Python."""
    total = 0
    for number in range(100_000):
        total += number & 7


def _shares(before: tuple[int, ...] | None, after: tuple[int, ...] | None) -> tuple[float | None, float | None]:
    if before is None or after is None:
        return None, None
    past = [b - a for a, b in zip(before, after, strict=True)]
    if (total := sum(past)) <= 0:
        return None, None
    return past[_STEAL] / total, 1 - (sum(past[kind] for kind in _IDLE) + past[_STEAL]) / total


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"
