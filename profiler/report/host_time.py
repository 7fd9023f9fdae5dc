"""Where the host's time goes, as tables: each arm's recorded trial beside the baseline's."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.host_time import HostTime, host_times
from profiler.report.numbers import signed
from profiler.report.text import plain
from profiler.scenario import BASELINE
from profiler.stacks.run import ArmStacks, read_summary
from profiler.stacks.spy import RATE_HZ

_LEAST_MS = 0.5


def print_host_time(run: Path, console: Console) -> None:
    """A table an arm, if the run recorded stacks, and where the files are."""
    stored = {arm.arm: arm for arm in read_summary(run)}
    baseline = stored.pop(BASELINE, None)
    if baseline is None:
        return
    for arm in stored.values():
        console.print(_table(arm, host_times(baseline, arm, RATE_HZ)))
    for arm in (baseline, *stored.values()):
        for process, why in arm.missing.items():
            console.print(f"{plain(arm.arm)}, {plain(process)}: not measured: {plain(why)}", highlight=False)
    console.print(
        f"One trial an arm under py-spy at {RATE_HZ} Hz; ± counts the samples' chance, not the trials'. "
        f"Flame graphs and speedscope files: {plain(run / 'stacks')}",
        highlight=False,
    )


def _table(arm: ArmStacks, found: tuple[HostTime, ...]) -> Table:
    title = f"Host time of {plain(arm.arm)}, ms a request"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("process", overflow="fold")
    table.add_column("part")
    for name in (BASELINE, "arm", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        if max(one.baseline_ms, one.arm_ms) >= _LEAST_MS:
            difference, reach = signed(one.difference_ms, one.half_width_ms)
            cells = (f"{one.baseline_ms:.1f}", f"{one.arm_ms:.1f}", f"{difference} ±{reach.lstrip('+')}")
            table.add_row(plain(one.process), one.part, *cells)
    return table


def host_time_json(run: Path) -> list[dict[str, Any]]:
    """The same as data; empty where the run recorded no stacks."""
    stored = {arm.arm: arm for arm in read_summary(run)}
    baseline = stored.get(BASELINE)
    if baseline is None:
        return []
    return [
        {
            "arm": arm.arm,
            "requests": arm.requests,
            "folder": f"stacks/{arm.folder}",
            "missing": dict(arm.missing),
            "parts": [
                {
                    "process": one.process, "part": one.part, "baseline_ms": one.baseline_ms, "arm_ms": one.arm_ms,
                    "difference_ms": one.difference_ms, "half_width_ms": one.half_width_ms,
                }
                for one in host_times(baseline, arm, RATE_HZ)
            ],
        }
        for arm in stored.values()
    ]  # fmt: skip
