"""Calibrations as a table in 80 columns, and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from profiler.analysis.stats import Interval
from profiler.analysis.tax import RunResult
from profiler.calibration.modelled import ModelledCalibration
from profiler.calibration.statement import Statement
from profiler.report.numbers import with_range
from profiler.report.schema import VERSION

_WORDS = {"ttft_ms": "TTFT, ms", "e2el_ms": "E2EL, ms", "": "tokens"}


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < 2 else "right", no_wrap=number < 2)
    return table


def print_statements(found: Sequence[Statement], console: Console) -> None:
    """A row a control and figure: injected, recovered, 95 % interval, covered or not."""
    table = _table("control", "figure", "injected", "recovered [95 %]", "covered")
    for one in found:
        injected = "unknown" if one.injected is None else f"{one.injected:g}"
        covered = "-" if one.covered is None else "yes" if one.covered else "no"
        range_ = with_range(one.recovered.estimate, (one.recovered.low, one.recovered.high))
        recovered = f"{one.recovered.estimate:.0f}" if one.unit == "tokens" else escape(range_)
        table.add_row(one.control, f"{one.entry}, {_WORDS[one.metric]}", injected, recovered, covered)
    console.print(table)
    if unknown := [one for one in found if one.injected is None]:
        names = " and ".join(dict.fromkeys(f"{one.control} ({one.entry})" for one in unknown))
        console.print(f"{names}: truth unknown on a real engine; `calibrate --modelled` knows it", soft_wrap=True)
    console.print("A delay ends late where the machine is busy; `direct` is what the requests really waited.")


def statements_json(result: RunResult, found: Sequence[Statement]) -> dict[str, Any]:
    """The same as data, with what is said of the run."""
    return {
        "schema": VERSION,
        "run": str(result.run.path),
        "valid": result.valid,
        "warnings": list(result.warnings),
        "controls": [
            {
                "control": one.control,
                "entry": one.entry,
                "metric": one.metric,
                "unit": one.unit,
                "injected": one.injected,
                "recovered": one.recovered.estimate,
                "ci95": [one.recovered.low, one.recovered.high],
                "covered": one.covered,
                "note": one.note,
            }
            for one in found
        ],
    }


def print_modelled(found: ModelledCalibration, console: Console) -> None:
    """Coverage by control, then the three bars."""
    table = _table("control", "figure", "injected", "recovered", "±", "covers, %")
    for one in found.controls:
        table.add_row(
            one.control, f"{one.entry}, {_WORDS[one.metric]}", f"{one.injected:.1f}", f"{one.recovered:.1f}",
            f"{one.half_width:.1f}", escape(_percent(one.coverage)),
        )  # fmt: skip
    console.print(f"{found.repeats} repeats of {found.blocks} blocks on the modelled engine", highlight=False)
    console.print(table)
    for words, share in (
        ("coverage, all controls (bar: 93 to 97 %)", found.coverage),
        ("equal arms called a tax or a saving (bar: at most 5 %)", found.false_positives),
        ("  p < 0.05 alone, E2EL", found.null_significant),
        ("5 % of TTFT found in the spans (bar: at least 95 %)", found.power_direct),
        ("  found in whole-trial differences", found.power_measured),
    ):
        console.print(f"{words}: {escape(_share(share))}", highlight=False)


def modelled_json(found: ModelledCalibration) -> dict[str, Any]:
    """The same as data; shares between 0 and 1."""
    shares = {
        "coverage": found.coverage,
        "false_positive_rate": found.false_positives,
        "null_p_below_5pct": found.null_significant,
        "power_ttft_5pct": found.power_direct,
        "power_ttft_5pct_whole_trials": found.power_measured,
    }
    return {
        "schema": VERSION,
        "repeats": found.repeats,
        "blocks": found.blocks,
        "baseline_ttft_ms": found.baseline_ttft_ms,
        **{name: share.estimate for name, share in shares.items()},
        "ci95": {name: [share.low, share.high] for name, share in shares.items()},
        "controls": [
            {
                "control": one.control,
                "entry": one.entry,
                "metric": one.metric,
                "injected": one.injected,
                "recovered": one.recovered,
                "half_width": one.half_width,
                "coverage": one.coverage.estimate,
                "coverage_ci95": [one.coverage.low, one.coverage.high],
            }
            for one in found.controls
        ],
    }


def _percent(share: Interval) -> str:
    return f"{100 * share.estimate:.1f} [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def _share(share: Interval) -> str:
    return f"{100 * share.estimate:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"
