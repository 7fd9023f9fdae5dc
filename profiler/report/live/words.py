"""What the views have in common: where a run is, and times in words."""

from profiler.plan import PlannedTrial
from profiler.report.live.outline import Outline


def place(outline: Outline, planned: PlannedTrial) -> str:
    """Such as "block 3/5 trial 14/30"; without the totals where `until` decides."""
    return f"block {_of(planned.block, outline.blocks)} trial {_of(planned.index, outline.trials)}"


def _of(number: int, total: int | None) -> str:
    return str(number + 1) if total is None else f"{number + 1}/{total}"


def seconds(value: float) -> str:
    """Such as "48 s", "3:05", "2:10:00"."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
