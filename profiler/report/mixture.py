"""What each kind of outcome costs, and the tax of another mix of requests, as tables and as data."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from profiler.analysis.mixture import METRICS, Cost, Ending, MixedTax, Mixture, at_fraction
from profiler.report.attribution import interval_json
from profiler.report.numbers import signed, with_half_width
from profiler.report.text import plain

_WORDS = {"e2el_ms": "E2EL, ms", "ttft_ms": "TTFT, ms", "engine_tokens": "tokens"}
_NOTE = (
    "Worked out from each request's cost over the same request in the baseline; borderline requests count as "
    "harmless, in this run's mix. Not in it: what another mix would do to queues and batches. Tokens: those that the "
    "engine made for a request."
)


def print_mixture(found: Mixture, harmful: float, console: Console) -> None:
    """Print every arm's tax were `harmful` of the requests harmful, then what each kind of outcome costs."""
    console.print(_tax_table(found, harmful))
    for arm, why in _reasons(found, harmful).items():
        console.print(f"{plain(arm)}: not measured: {plain(why)}", highlight=False)
    console.print(_cost_table(found))
    console.print(_NOTE, highlight=False)


def _tax_table(found: Mixture, harmful: float) -> Table:
    title = f"Tax with {_share(harmful)} harmful requests ({_share(found.harmful)} in this run), mean ±95 %"
    table = _table(title)
    table.add_column("arm", overflow="fold")
    for name in ("E2EL, ms", "in %", "TTFT, ms", "in %", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm, mixed in at_fraction(found, harmful).items():
        e2el, ttft, tokens = (mixed[metric] for metric in METRICS)
        table.add_row(plain(arm), _absolute(e2el), _relative(e2el), _absolute(ttft), _relative(ttft), _absolute(tokens))
    return table


def _cost_table(found: Mixture) -> Table:
    table = _table("What a request costs by what became of it, mean ±95 %")
    table.add_column("", overflow="fold")
    for name in ("requests", "share", *_WORDS.values()):
        table.add_column(name, justify="right", no_wrap=True)
    for arm, mine in found.arms.items():
        table.add_row(f"[bold]{plain(arm)}[/]")
        for ending in mine.endings:
            costs = [_cost(ending.costs[metric]) for metric in METRICS]
            name = plain(f" {ending.label}, {ending.what}")
            table.add_row(name, str(ending.count), _share(ending.share, 0), *costs)
        table.add_section()
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))


def _share(value: float, digits: int = 1) -> str:
    return f"{round(100 * value, digits):g} %"


def _absolute(tax: MixedTax) -> str:
    return "-" if tax.absolute is None else with_half_width(tax.absolute)


def _relative(tax: MixedTax) -> str:
    if tax.relative is None:
        return "-"
    centre, reach = signed(100 * tax.relative.estimate, 100 * tax.relative.half_width, most_digits=1)
    return f"{centre} ±{reach.lstrip('+')}"


def _cost(cost: Cost | None) -> str:
    if cost is None:
        return "-"
    return signed(cost.mean)[0] if cost.interval is None else with_half_width(cost.interval)


def _reasons(found: Mixture, harmful: float) -> dict[str, str]:
    """Why an arm lacks a figure, the first reason of each."""
    reasons = {
        arm: next((tax.why for tax in mixed.values() if tax.why), "")
        for arm, mixed in at_fraction(found, harmful).items()
    }
    return {arm: why for arm, why in reasons.items() if why}


def mixture_json(found: Mixture, harmful: float) -> dict[str, Any]:
    """The same as data; null is what was not measured, with the reason."""
    mixed = at_fraction(found, harmful)
    return {
        "harmful_fraction": harmful,
        "harmful_fraction_of_run": found.harmful,
        "queueing_of_another_mix": "not in it",
        "arms": {
            arm: {
                "tax": {metric: _tax_json(tax) for metric, tax in mixed[arm].items()},
                "outcomes": [_ending_json(ending) for ending in mine.endings],
            }
            for arm, mine in found.arms.items()
        },
    }


def _tax_json(tax: MixedTax) -> dict[str, Any]:
    return {
        "baseline": tax.baseline,
        "absolute": interval_json(tax.absolute),
        "relative": interval_json(tax.relative),
        "blocks": tax.blocks,
        "not_measured": tax.why or None,
    }


def _ending_json(ending: Ending) -> dict[str, Any]:
    return {
        "label": ending.label,
        "what": ending.what,
        "count": ending.count,
        "share": ending.share,
        "costs": {metric: _cost_json(cost) for metric, cost in ending.costs.items()},
    }


def _cost_json(cost: Cost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    ends = interval_json(cost.interval)
    return {"mean": cost.mean, "ci95": None if ends is None else ends["ci95"], "requests": cost.requests}
