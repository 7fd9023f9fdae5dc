"""The tax table of the first screen: an arm a row, the headline metrics, each with its interval and verdict."""

from collections.abc import Mapping
from dataclasses import dataclass

from profiler.analysis.comparison import Tax
from profiler.analysis.tax import RunResult
from profiler.report.html.verdict import HEADLINES
from profiler.report.numbers import percent_with_range, with_range
from profiler.report.tax_table import SHOWN
from profiler.scenario import BASELINE


@dataclass(frozen=True)
class Cell:
    """One tax, absolute and in percent, and the words of its verdict; all empty where the run has none."""

    absolute: str = ""
    relative: str = ""
    verdict: str = ""
    claimed: bool = False


@dataclass(frozen=True)
class TaxTable:
    """Words of the metrics, and by arm (its place among the run's; None for the A/A) the cells."""

    head: tuple[str, ...]
    rows: tuple[tuple[int | None, str, tuple[Cell, ...]], ...]


def first_taxes(result: RunResult) -> TaxTable:
    """Every arm against the baseline, and last the baseline against itself."""
    found = [(place, arm.name, arm.tax) for place, arm in enumerate(result.arms.values()) if arm.tax]
    keys = [key for key in HEADLINES if any(key in tax for _, _, tax in found)]
    rows = [(place, name, _cells(keys, tax)) for place, name, tax in found]
    again = [(None, f"{BASELINE}, again", _cells(keys, result.noise_floor))] if result.noise_floor and rows else []
    return TaxTable(tuple(SHOWN[key] for key in keys), (*rows, *again))


def _cells(keys: list[str], taxes: Mapping[str, Tax]) -> tuple[Cell, ...]:
    return tuple(_cell(taxes[key]) if key in taxes else Cell() for key in keys)


def _cell(tax: Tax) -> Cell:
    relative = ""
    if tax.relative is not None and tax.relative_ci95 is not None:
        relative = f"{percent_with_range(tax.relative, tax.relative_ci95)} %"
    return Cell(with_range(tax.absolute, tax.ci95), relative, tax.verdict, tax.claimed)
