"""A history in a terminal: a table and a picture for each series, then what is in none."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from profiler.analysis.history import ArmFigures, HistoryRun, Series, Trend, value
from profiler.analysis.stats import Interval
from profiler.analysis.stats.change_points import ALPHA, LEAST_RUNS
from profiler.analysis.words import Word
from profiler.history import LeftOut
from profiler.report.numbers import percent_with_range
from profiler.report.text import printable
from profiler.report.trend import IN_ASCII, picture
from profiler.scenario import BASELINE

_ARM = 12


def print_history(
    series: Sequence[Series], left_out: Sequence[LeftOut], word: Word, tax: bool, console: Console
) -> None:
    """Print everything; `word` is the metric that the pictures follow, its tax where `tax`."""
    before: dict[str, Series] = {}
    for one in series:
        _say(console, _title(one), "bold")
        if (last := before.get(one.key.scenario)) is not None:
            _say(console, f"A series of its own: {'; '.join(one.key.differs(last.key))}", "yellow")
        before[one.key.scenario] = one
        for note in dict.fromkeys(run.note for run in one.runs if run.note):
            _say(console, note, "bold yellow")
        for line, style in _table(one, word):
            _say(console, line, style)
        for trend in one.trends if len(one.runs) > 1 else ():
            _print_trend(one, trend, word, tax, console)
        _say(console, "")
    if any(trend.long_enough for one in series for trend in one.trends):
        _say(console, _note(tax))
    if any(
        found.tax is None and arm != BASELINE for one in series for run in one.runs for arm, found in run.arms.items()
    ):
        _say(console, f"n/m: not measured: {why_no_tax(word)}")
    for run in left_out:
        _say(console, f"left out: {run.name}: {run.why}", "yellow")


def why_no_tax(word: Word) -> str:
    """Why an arm may have none."""
    return f"a tax needs two blocks with {word.name} in both arms, a p99 more requests"


def _say(console: Console, line: str, style: str = "") -> None:
    shown = printable(line)
    if console.options.ascii_only:
        shown = shown.translate(IN_ASCII).encode("ascii", "replace").decode()
    console.print(shown, style=style, highlight=False, markup=False, soft_wrap=True)


def _title(series: Series) -> str:
    key, count = series.key, len(series.runs)
    runs = f"{count} run" if count == 1 else f"{count} runs"
    few = "" if count >= LEAST_RUNS else f" (fewer than {LEAST_RUNS}: no change points are looked for)"
    return f"{key.scenario} ({key.scenario_hash}): {key.model} on {key.device}, vLLM {key.vllm}: {runs}{few}"


def _table(series: Series, word: Word) -> list[tuple[str, str]]:
    head = f"  {'arm':<{_ARM}} {'req':>6} {'TTFT p50/p90':>13} {'E2EL p50/p90':>13} {'tok/s':>7}  tax on {word.name}, %"
    lines = [(head, "dim")]
    for run in series.runs:
        lines.append((_run_line(run), ""))
        lines += [(_arm_line(arm, found), "") for arm, found in run.arms.items()]
    return lines


def _run_line(run: HistoryRun) -> str:
    commit = run.git_commit[:7] or "no commit"
    blocks = "1 block" if run.blocks == 1 else f"{run.blocks} blocks"
    return f"{run.name}  {run.started[:16].replace('T', ' ')}  {commit}  {blocks}"


def _arm_line(arm: str, found: ArmFigures) -> str:
    name = printable(arm)
    cell = set_cell_size(name, _ARM) if cell_len(name) <= _ARM else set_cell_size(name, _ARM - 1) + "~"
    rate = found.output_tokens_per_s
    cells = (_pair(found, "ttft_ms"), _pair(found, "e2el_ms"), "-" if rate is None else f"{rate:.1f}")
    tax = "" if arm == BASELINE else "n/m"
    if found.tax is not None:
        interval = value(found.tax, tax=True)
        tax = percent_with_range(interval.estimate, (interval.low, interval.high))
    return f"  {cell} {found.requests:>6} {cells[0]:>13} {cells[1]:>13} {cells[2]:>7}  {tax}".rstrip()


def _pair(found: ArmFigures, metric: str) -> str:
    p50, p90 = (found.quantiles_ms[f"{metric}.{q}"] for q in ("p50", "p90"))
    return "-" if p50 is None or p90 is None else f"{p50:.0f}/{p90:.0f}"


def _print_trend(series: Series, trend: Trend, word: Word, tax: bool, console: Console) -> None:
    _say(console, "")
    unit = "%" if tax else word.unit
    _say(console, f"{'tax on ' if tax else ''}{word.name} of {trend.arm}, {unit}", "bold")
    if len(trend.places) < 2:
        _say(console, f"  no trend: {len(trend.places)} of the runs has it in two blocks or more")
        return
    points = [_in_percent(value(one, tax=True)) if tax else value(one, tax=False) for one in trend.estimates]
    found = picture(points, [change.index for change in trend.changes], console.width, unit)
    for line in found.lines:
        _say(console, line)
    runs = [series.runs[place] for place in trend.places]
    hidden = "" if found.shown.start == 0 else f" (the last {len(found.shown)} of {len(points)})"
    _say(console, f"  {_day(runs[found.shown.start])} to {_day(runs[-1])}{hidden}", "dim")
    for change in trend.changes:
        interval = change.relative_interval()
        by = percent_with_range(interval.estimate, (interval.low, interval.high))
        _say(console, f"  ┊ {by} % from {runs[change.index].name} on (p {change.p_value:.3f})", "bold yellow")


def _in_percent(share: Interval) -> Interval:
    return Interval(100 * share.estimate, 100 * share.low, 100 * share.high, share.confidence)


def _day(run: HistoryRun) -> str:
    return run.started[:10]


def _note(tax: bool) -> str:
    of = "the ratio of arm and baseline" if tax else "the figure"
    return (
        f"┊: the level of {of} changes there. Judged by permutation at {100 * ALPHA:g} %: of arms whose level never "
        f"changed, one in {1 / ALPHA:.0f} shows one all the same, if each run's noise is its own (a machine that "
        "drifts shows more). A change's 95 % interval is taken after the split was chosen: somewhat too narrow. What "
        "changed, the commits may tell. Whether a run is VALID is not looked at: `report RUN` does."
    )
