"""The result as tidy CSV: one row a metric, arm and statistic."""

import csv
import math
from collections.abc import Iterator
from io import StringIO

from profiler.analysis.figure import Figure
from profiler.analysis.run_figures import own_estimates, steady_trials, why_none
from profiler.analysis.stats import Interval
from profiler.analysis.tax import ArmResult, RunResult
from profiler.analysis.words import WORDS, benefit_change, benefit_figure
from profiler.report.text import printable

HEADER = (
    "run", "valid", "arm", "metric", "statistic", "unit", "value", "ci95_low", "ci95_high", "verdict", "not_measured",
)  # fmt: skip
"""`statistic`: `value`, or `difference` and `difference_relative` to the baseline. Shares are between 0 and 1, an end
that the data do not bound is empty."""
Row = tuple[str, str, str, Interval | None, str, str]


def to_csv(result: RunResult) -> str:
    """What `alignment-tax report RUN --format csv` prints."""
    page = StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(HEADER)
    run, valid = _text(result.run.manifest["id"]), str(result.valid).lower()
    for arm in result.arms.values():
        for metric, statistic, unit, found, verdict, why in _rows(result, arm):
            values = ("", "", "") if found is None else [_number(v) for v in (found.estimate, found.low, found.high)]
            writer.writerow((run, valid, _text(arm.name), metric, statistic, unit, *values, verdict, _text(why)))
    return page.getvalue()


def _rows(result: RunResult, arm: ArmResult) -> Iterator[Row]:
    own = own_estimates(steady_trials(result, arm.name))
    names = {word.key: word.name for word in WORDS.values() if word.kind == "cost"}
    units = {word.key: word.unit for word in WORDS.values()}
    for key, estimates in own.items():
        yield names.get(key, key), "value", units.get(key, _unit(key)), estimates.absolute.interval(), "", ""
    absent, trials = result.run.manifest.get("not_measured", {}), steady_trials(result, arm.name)
    for key, name in names.items():
        if key not in own:
            yield name, "value", units[key], None, "", why_none(key, trials, absent)
    for key, tax in arm.tax.items():
        metric, unit = names.get(key, key), units.get(key, _unit(key))
        yield metric, "difference", unit, Interval(tax.absolute, *tax.ci95, 0.95), tax.verdict, ""
        if tax.relative is not None and tax.relative_ci95 is not None:
            relative = Interval(tax.relative, *tax.relative_ci95, 0.95)
            yield metric, "difference_relative", "ratio", relative, tax.verdict, ""
    for outcome, count in arm.outcomes.items():
        yield f"requests_{outcome}", "value", "requests", Interval(count, count, count, 0.95), "", ""
    if arm.benefit is not None:
        yield from _benefit(arm)


def _benefit(arm: ArmResult) -> Iterator[Row]:
    for word in (word for word in WORDS.values() if word.kind == "benefit"):
        unit = "share" if word.unit == "%" else word.unit
        yield _figure(word.name, "value", unit, benefit_figure(arm.benefit, word))
        if word.difference and arm.benefit is not None and arm.benefit.against_baseline:
            yield _figure(word.name, "difference", unit, benefit_change(arm.benefit, word))


def _figure(name: str, statistic: str, unit: str, figure: Figure) -> Row:
    return name, statistic, unit, figure.interval, "", figure.why


def _unit(key: str) -> str:
    return "s" if key.startswith("cpu_s.") else ""


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _text(text: str) -> str:
    """In one line, and no formula to a spreadsheet."""
    plain = printable(text)
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@") and plain else plain
