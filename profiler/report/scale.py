"""The tax against the model's size: a table an arm, a sentence a metric, and as data."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.blocks import TOKENS_PER_S
from profiler.analysis.scale import Point, PowerLaw, Scale, ScaledTax
from profiler.report.attribution import interval_json
from profiler.report.numbers import percent_with_range, with_range
from profiler.report.recorded import recorded_note
from profiler.report.text import plain

WORDS = {
    "ttft_ms.mean": "TTFT mean, ms",
    "tpot_ms.mean": "TPOT mean, ms",
    "e2el_ms.mean": "E2EL mean, ms",
    TOKENS_PER_S: "output tok/s",
}
_NOTE = (
    "size^a: fitted on logarithms by random-effects meta-regression (Knapp & Hartung 2003), each run with its own "
    "interval, a and its 95 % interval. In proportion: the relative tax stays as it is. What changed between the runs "
    "beside the size is in it."
)


def size_text(parameters: float) -> str:
    """1.2B, 135M."""
    for unit, of in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= of:
            return f"{parameters / of:.3g}{unit}"
    return f"{parameters:.3g}"


def invalid_runs(found: Scale) -> tuple[str, ...]:
    """Runs in the fit that broke a rule of a valid measurement, each with its rules."""
    return tuple(
        f"{one.result.run.path.name}: "
        + "; ".join(f"{f.arm}: {f.text.removeprefix('INVALID: ')}" for f in one.result.findings if f.invalid)
        for one in found.runs
        if not one.result.valid
    )


def recorded_notes(found: Scale) -> tuple[str, ...]:
    """What is to be known of a run whose text or verdicts were not real."""
    said = [(one.result.run.path.name, recorded_note(one.result.run.manifest)) for one in found.runs]
    return tuple(f"{name}: {note}" for name, note in said if note)


def print_scale(found: Scale, console: Console) -> None:
    """Print what was run, a table an arm, then what each metric's tax does as models grow."""
    console.print("[bold]Tax against the size of the model[/]")
    for one in found.runs:
        name, model = one.result.run.path.name, one.result.run.manifest["facts"].get("model", "?")
        console.print(f" {size_text(one.parameters)}: {plain(name)}, {plain(model)}", highlight=False, soft_wrap=True)
    for text in invalid_runs(found):
        console.print(f"[bold red]INVALID:[/] {plain(text)}: do not use this fit", highlight=False)
    for text in recorded_notes(found):
        console.print(f"[bold yellow]{plain(text)}[/]", highlight=False)
    for arm, metrics in found.arms.items():
        if metrics:
            console.print(_table(arm, metrics))
            for metric, scaled in metrics.items():
                console.print(plain(sentence(metric, scaled)), highlight=False)
    console.print(_NOTE, highlight=False)
    for warning in found.warnings:
        console.print(f"[yellow]warning:[/] {plain(warning)}", highlight=False)


def _table(arm: str, metrics: Mapping[str, ScaledTax]) -> Table:
    table = Table(title=plain(arm), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("", "size", "baseline", "tax", "in %"):
        table.add_column(name, justify="left" if not name else "right", overflow="fold")
    for metric, found in metrics.items():
        for number, point in enumerate(found.points):
            table.add_row("" if number else WORDS[metric], *map(plain, cells(point)))
    return table


def cells(point: Point) -> tuple[str, str, str, str]:
    """Size, baseline, and the tax absolute and relative, with their intervals."""
    tax, share = point.absolute, point.relative
    relative = "-" if share is None else percent_with_range(share.estimate, (share.low, share.high))
    absolute = with_range(tax.estimate, (tax.low, tax.high))
    return size_text(point.parameters), f"{point.baseline:.4g}", absolute, relative


def sentence(metric: str, found: ScaledTax) -> str:
    """What the tax does as models grow, in words, with its exponents."""
    if found.absolute.why and found.absolute.why == found.relative.why:
        return f"{WORDS[metric]}: no exponent: {found.absolute.why}."
    absolute, relative = _law("absolute", found.absolute), _law("relative", found.relative)
    return f"{WORDS[metric]}: {absolute}; {relative}: {proportion(found)}."


def _law(which: str, found: PowerLaw) -> str:
    if found.exponent is None:
        return f"{which} tax: no exponent ({found.why})"
    verb = {"holds": "holds, ", "": "cannot be told to grow or shrink, "}.get(found.trend, f"{found.trend} as ")
    return f"{which} tax {verb}{law_words(found)}"


def law_words(found: PowerLaw) -> str:
    """The exponent with its interval: size^0.42 [0.31, 0.53]."""
    if found.exponent is None:
        return "-"
    return f"size^{found.exponent.estimate:.2f} [{found.exponent.low:.2f}, {found.exponent.high:.2f}]"


def proportion(found: ScaledTax) -> str:
    """The answer to the question: does the tax shrink in proportion as models grow?"""
    return {
        "shrinks": "in proportion the tax shrinks as models grow",
        "holds": "in proportion the tax holds as models grow",
        "grows": "in proportion the tax grows with the model",
    }.get(found.relative.trend, "whether it shrinks in proportion cannot be told")


def scale_json(found: Scale) -> dict[str, Any]:
    """The same as data: schema 1."""
    runs = [(one, one.result.run) for one in found.runs]
    return {
        "schema": 1,
        "scale": [
            {
                "id": str(run.manifest["id"]),
                "path": str(run.path),
                "model": str(run.manifest["facts"].get("model", "")),
                "parameters": one.parameters,
                "valid": one.result.valid,
            }
            for one, run in runs
        ],
        "arms": {
            arm: {metric: _scaled_json(metric, one) for metric, one in metrics.items()}
            for arm, metrics in found.arms.items()
        },
        "warnings": [*recorded_notes(found), *found.warnings],
    }


def _scaled_json(metric: str, found: ScaledTax) -> dict[str, Any]:
    return {
        "points": [
            {
                "run": point.run,
                "parameters": point.parameters,
                "baseline": point.baseline,
                "absolute": interval_json(point.absolute),
                "relative": interval_json(point.relative),
            }
            for point in found.points
        ],
        "absolute": _law_json(found.absolute),
        "relative": _law_json(found.relative),
        "answer": sentence(metric, found),
    }


def _law_json(found: PowerLaw) -> dict[str, Any]:
    return {
        "exponent": interval_json(found.exponent),
        "factor": found.factor,
        "trend": found.trend or None,
        "not_measured": found.why or None,
    }
