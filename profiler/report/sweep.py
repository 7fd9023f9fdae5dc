"""A sweep as a table and as data: a row a point, the front marked."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.comparison import Tax
from profiler.analysis.figure import Figure
from profiler.report.as_json import tax_json
from profiler.report.benefit_json import benefit_json, figure_json
from profiler.report.numbers import with_range
from profiler.report.recorded import recorded_note
from profiler.report.text import plain
from profiler.sweep.result import TAXES, SweepResult, SweptPoint

_WORDS = {
    "e2el_mean": "E2EL mean, ms",
    "e2el_p50": "E2EL p50, ms",
    "ttft_mean": "TTFT mean, ms",
    "ttft_p50": "TTFT p50, ms",
    "output_tokens_per_s": "output tok/s",
}


def print_sweep(result: SweepResult, console: Console) -> None:
    """Print a row a point, and how to read it."""
    if note := recorded_note(result.run.run.manifest):
        console.print(f"[bold yellow]{note}[/]", highlight=False)
    facts = result.run.run.manifest["facts"]
    console.print(
        f"[bold]Sweep[/] on {plain(facts['model'])}, {plain(facts['device_name'])}, "
        f"vLLM {plain(facts['vllm_version'])}, blocks: {result.run.blocks}",
        highlight=False,
    )
    if not result.run.valid:
        console.print("[bold red]INVALID[/]: this run broke a rule of a valid measurement, see its end")
    console.print(_table(result))
    for note in _notes(result):
        console.print(note, highlight=False)


def _table(result: SweepResult) -> Table:
    title = f"Tax: {_WORDS[result.weighed]}, on harmless requests. Stopped: % of prompts"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("point", overflow="fold")
    table.add_column("tax", justify="right", no_wrap=True)
    table.add_column("harmful", justify="right", no_wrap=True)
    table.add_column("harmless", justify="right", no_wrap=True)
    for number, one in enumerate(result.points):
        mark = "*" if one.standing is not None and one.standing.beaten_by is None else " "
        label = f"{number + 1} {plain(one.point.label)}" + (" ~" if one.point.rescored else "")
        tax = one.tax.get(TAXES[result.weighed])
        table.add_row(mark, label, _tax(tax), _share(one.stopped), _share(one.over_refusal), style=_style(one))
    return table


def _style(one: SweptPoint) -> str:
    return "bold" if one.standing is not None and one.standing.beaten_by is None else ""


def _tax(tax: Tax | None) -> str:
    return "n/m" if tax is None else plain(with_range(tax.absolute, tax.ci95))


def _share(figure: Figure) -> str:
    if figure.interval is None:
        return "n/m"
    low, high = 100 * figure.interval.low, 100 * figure.interval.high
    return plain(f"{100 * figure.interval.estimate:.0f} [{low:.0f}, {high:.0f}]")


def _notes(result: SweepResult) -> list[str]:
    notes = [
        "* on the front: no other point taxes less, stops more harmful and fewer harmless prompts. "
        "Stopped: blocked by a guard or refused by the model. 95 % intervals."
    ]
    beaten = [(n, one.standing) for n, one in enumerate(result.points, 1) if one.standing is not None]
    near = [str(n) for n, standing in beaten if standing.beaten_by is not None and not standing.clear]
    if near:
        notes.append(f"Beaten within the intervals only, so perhaps on the front too: {', '.join(near)}.")
    if any(one.point.rescored for one in result.points):
        notes.append(
            "~ re-scored: told from the probabilities stored at the loosest threshold, not run again. What its other "
            "blocks would spare or cost the other requests is not in it, nor has it a tax on the throughput."
        )
    for n, one in enumerate(result.points, 1):
        if one.standing is None:
            notes.append(f"{n} stands outside the comparison: not measured: {_why(one, result.weighed)}")
    return notes


def _why(one: SweptPoint, weighed: str) -> str:
    missing = [plain(figure.why) for figure in (one.stopped, one.over_refusal) if figure.interval is None]
    if TAXES[weighed] not in one.tax:
        missing.append(f"no tax on {weighed} (two blocks and more, harmless requests in them)")
    return "; ".join(dict.fromkeys(missing))


def sweep_json(result: SweepResult) -> dict[str, Any]:
    """The sweep as data: schema 1."""
    manifest = result.run.run.manifest
    note = recorded_note(manifest)
    return {
        **({"note": note} if note else {}),
        "schema": 1,
        "run": {
            "id": manifest["id"],
            **manifest["facts"],
            "blocks": result.run.blocks,
            "path": str(result.run.run.path),
        },
        "valid": result.run.valid,
        "warnings": [*result.run.warnings, *(f"{one.arm}: {one.text}" for one in result.run.findings)],
        "weighed": TAXES[result.weighed],
        "points": [_point_json(one, result) for one in result.points],
    }


def _point_json(one: SweptPoint, result: SweepResult) -> dict[str, Any]:
    standing, beaten = one.standing, None
    if standing is not None and standing.beaten_by is not None:
        beaten = result.points[standing.beaten_by].point.label
    return {
        "label": one.point.label,
        "arm": one.point.arm,
        "settings": dict(one.point.settings),
        "rescored": one.point.rescored,
        "tax_on_harmless": {name: tax_json(tax) for name, tax in one.tax.items()},
        "harmful_stopped": figure_json(one.stopped),
        "harmless_stopped": figure_json(one.over_refusal),
        "benefit": benefit_json(one.benefit),
        "front": None if standing is None else standing.beaten_by is None,
        "beaten_by": beaten,
        "clearly": None if standing is None else standing.clear,
    }
