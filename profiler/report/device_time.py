"""Where the device's time goes, by family of kernels: each arm's traced requests beside the baseline's."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.report.numbers import signed
from profiler.report.text import plain
from profiler.scenario import BASELINE
from profiler.traces.run import ArmTrace, read_traces


def print_device_time(run: Path, console: Console) -> None:
    """One table, if the run recorded traces, and where the files are."""
    stored = {arm.arm: arm for arm in read_traces(run)}
    baseline = stored.pop(BASELINE, None)
    if baseline is None:
        return
    if not baseline.why:
        console.print(_table(baseline, [arm for arm in stored.values() if not arm.why]))
    for arm in (baseline, *stored.values()):
        if arm.why:
            console.print(f"trace of {plain(arm.arm)}: not measured: {plain(arm.why)}", highlight=False)
    what = "kernels' time on the GPU" if baseline.device == "gpu" else "operators' own time on the CPU"
    console.print(
        f"{baseline.requests} requests an arm under torch's profiler, which slows them: {what}, no interval. "
        f"Traces (Perfetto opens them): {plain(run / 'traces')}",
        highlight=False,
    )


def _table(baseline: ArmTrace, arms: list[ArmTrace]) -> Table:
    title = "Device ms a request"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("family", no_wrap=True)
    table.add_column(BASELINE, justify="right", no_wrap=True)
    for arm in arms:
        table.add_column(plain(arm.arm), justify="right", overflow="fold")
    for family in families(baseline, arms):
        base_ms = _ms(baseline, family)
        table.add_row(family, f"{base_ms:.1f}", *(signed(_ms(arm, family) - base_ms)[0] for arm in arms))
    return table


def families(baseline: ArmTrace, arms: list[ArmTrace]) -> list[str]:
    """Every family that any arm has, the greatest first."""
    names = dict.fromkeys(family for one in (baseline, *arms) for family in one.seconds)
    return sorted(names, key=lambda family: -max(_ms(one, family) for one in (baseline, *arms)))


def _ms(arm: ArmTrace, family: str) -> float:
    return 1e3 * arm.seconds.get(family, 0.0) / arm.requests


def device_time_json(run: Path) -> list[dict[str, Any]]:
    """The same as data; empty where the run recorded no traces."""
    return [
        {
            "arm": arm.arm,
            "requests": arm.requests,
            "device": arm.device or None,
            "ms_per_request": {family: _ms(arm, family) for family in arm.seconds},
            "folder": f"traces/{arm.folder}",
            "not_measured": arm.why or None,
        }
        for arm in read_traces(run)
    ]
