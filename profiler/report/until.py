"""What sequential stopping came to."""

import math
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.until import Looked, reach
from profiler.report.text import plain


def print_looked(found: Looked, ended: str, console: Console) -> None:
    """A row an arm: the tax with its corrected interval, and whether it is as narrow as was asked for."""
    config = found.config
    console.print(
        f"Until the tax on {config.metric} is known to {100 * config.half_width:g} %: {plain(ended)} after "
        f"{found.blocks} blocks, {found.count} looks",
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0))
    for name in ("arm", "tax, %", "95 % interval", "±, %", ""):
        table.add_column(name, justify="left" if name in ("arm", "") else "right")
    for arm, look in found.looks.items():
        interval = look.interval
        if interval is None:
            table.add_row(plain(arm), "-", "-", "-", look.reason)
            continue
        low, high = 100 * interval.low, 100 * interval.high
        table.add_row(
            plain(arm), f"{100 * interval.estimate:+.1f}", f"{low:+.1f} to {high:+.1f}", _reach(found, arm), look.reason
        )
    console.print(table)
    for arm in found.not_measured:
        console.print(f"{plain(arm)}: {config.metric} is not measured: no request of it has one", highlight=False)
    console.print(
        "These intervals allow for every look and are over all blocks, the warm-up's too. A run that max_minutes or a "
        "Ctrl-C ended keeps them; one that is ended because of what they show does not.",
        highlight=False,
    )


def _reach(found: Looked, arm: str) -> str:
    interval = found.looks[arm].interval
    width = math.inf if interval is None else reach(interval)
    return f"{100 * width:.1f}" if math.isfinite(width) else "-"


def looked_json(found: Looked, ended: str) -> dict[str, Any]:
    """The same as data."""
    return {
        "metric": found.config.metric,
        "half_width": found.config.half_width,
        "blocks": found.blocks,
        "looks": found.count,
        "ended": ended,
        "arms": {arm: _look_json(found, arm) for arm in found.looks},
        "not_measured": {arm: "no request has this metric" for arm in found.not_measured},
    }


def _look_json(found: Looked, arm: str) -> dict[str, Any]:
    look = found.looks[arm]
    ends = None if look.interval is None else [look.interval.low, look.interval.high]
    return {
        "relative": None if look.interval is None else look.interval.estimate,
        "ci95": ends,
        "narrow_enough": look.reason == "narrow enough",
        "reason": look.reason,
    }
