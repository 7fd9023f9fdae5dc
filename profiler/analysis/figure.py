"""A figure of the benefit: an interval over so many prompts, or the reason why there is none."""

from dataclasses import dataclass

from profiler.analysis.stats import Interval

NO_SUCH_PROMPT = "no such prompt"


@dataclass(frozen=True)
class Figure:
    """`interval` is None where it was not measured, and `why` says why. `prompts` are the distinct ones behind it."""

    interval: Interval | None
    prompts: int
    why: str = ""


def not_measured(why: str, prompts: int = 0) -> Figure:
    """No figure."""
    return Figure(None, prompts, why)
