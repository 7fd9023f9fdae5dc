"""How figures are written: as many digits as they deserve, and the same for a figure and its interval."""

import math

from profiler.analysis.stats import Interval

_MOST_PERCENT = 10_000


def signed(*values: float, most_digits: int = 2) -> list[str]:
    """Values with their sign, all with the digits that the largest of them deserves."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    digits = min(most_digits, 0 if largest >= 99.95 else 1 if largest >= 9.995 else 2)
    # The addition takes the sign off a zero.
    return [f"{round(value, digits) + 0.0:+.{digits}f}" for value in values]


def with_range(estimate: float, ends: tuple[float, float], most_digits: int = 2) -> str:
    """An estimate and its interval: "+20.5 [+15.9, +25.2]"."""
    centre, low, high = signed(estimate, *ends, most_digits=most_digits)
    return f"{centre} [{low}, {high}]"


def percent_with_range(estimate: float, ends: tuple[float, float]) -> str:
    """The same in percent of shares; what is beyond ten thousand says only that."""
    if max(map(abs, (estimate, *ends))) < _MOST_PERCENT / 100:
        return with_range(100 * estimate, (100 * ends[0], 100 * ends[1]), most_digits=1)
    centre, low, high = (_whole_percent(value) for value in (estimate, *ends))
    return f"{centre} [{low}, {high}]"


def _whole_percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:+.0f}" if abs(percent) < _MOST_PERCENT else ">" if percent > 0 else "<"


def whole_range(interval: Interval) -> str:
    """The ends of an interval of whole things: "2–4", "-1 to 3"; "?" for an end that the data do not bound."""
    low, high = (f"{end + 0.0:.0f}" if math.isfinite(end) else "?" for end in (interval.low, interval.high))
    return f"{low} to {high}" if -math.inf < interval.low < 0 else f"{low}–{high}"


def with_half_width(interval: Interval) -> str:
    """An estimate and how far it may be off: "+20.5 ±4.7"; "0" for what was nothing in every block."""
    if interval.estimate == interval.half_width == 0:
        return "0"
    centre, reach = signed(interval.estimate, interval.half_width)
    return f"{centre} ±{reach.lstrip('+')}"


def number(value: float | None, digits: int) -> str:
    """A reading, or that there is none."""
    return "n/m" if value is None else f"{value:.{digits}f}"
