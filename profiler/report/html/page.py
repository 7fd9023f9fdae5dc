"""The whole report of a run as one HTML document: sections of pictures between the verdict and the method."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from profiler.analysis.tax import RunResult
from profiler.report.html import method, script
from profiler.report.html.console import Block, PageConsole, groups
from profiler.report.html.parts import Asked, Section
from profiler.report.html.pictures import (
    ecdf,
    forest,
    fractions,
    front,
    load_latency,
    memory,
    power,
    timelines,
    waterfall,
)
from profiler.report.html.taxes import first_taxes
from profiler.report.html.text import MOST, NAME, shown
from profiler.report.html.verdict import verdicts
from profiler.report.more import print_more
from profiler.report.terminal import print_result
from profiler.scenario import BASELINE

SECTIONS = (
    Section("cost", "What it costs", "How much slower, and how sure that is.", (forest.picture, ecdf.picture)),
    Section(
        "why", "Where it comes from", "The same tax taken apart.", (waterfall.picture, timelines.picture)
    ),
    Section(
        "load", "Under other loads", "What another rate or mix would cost.", (load_latency.picture, fractions.picture)
    ),
    Section("benefit", "What it buys", "The safety that the tax pays for.", (front.picture,)),
    Section("machine", "What the machine pays", "Memory and power.", (memory.picture, power.picture)),
)  # fmt: skip
"""The parts of the page that hold pictures, in order. Another kind of tax is another section."""
COLOURS = 8
"""How many the style sheet has for arms; more arms share them, with another dash and shape."""
_FOLDER = Path(__file__).parent


def page_of(result: RunResult, harmful: float | None) -> str:
    """The document. `harmful`: another share of harmful requests that the reader has asked for.

    It asks nothing of the network, and no script runs in it but its own (Content-Security-Policy by SHA-256).
    """
    asked = Asked(result, harmful)
    sections = [(section, [make(asked) for make in section.pictures]) for section in SECTIONS]
    pictures = [picture for _, found in sections for picture in found]
    arms = _arms(asked.arms)
    drawn = {picture.key: picture.data for picture in pictures if not picture.why}
    return _environment().get_template("page.html.j2").render(
        result=result,
        facts=result.run.manifest["facts"],
        run_id=result.run.manifest["id"],
        started=str(result.run.manifest.get("started") or "")[:10],
        requests=sum(arm.requests for arm in result.arms.values()),
        arms=arms,
        verdicts=verdicts(result),
        taxes=first_taxes(result),
        limits=method.limits(result),
        sections=sections,
        tables=groups(_blocks(result, harmful)),
        groups=method.facts(result),
        notes=method.notes(result),
        scenario=method.scenario(result),
        commands=method.commands(result),
        style=Markup((_FOLDER / "assets" / "page.css").read_text(encoding="utf-8")),
        scripts=[Markup(text) for text in script.scripts()],
        policy=script.policy(),
        data=Markup(script.as_data({"arms": arms, "pictures": drawn})),
    )  # fmt: skip


def _arms(names: list[str]) -> list[dict[str, Any]]:
    """Each arm's name and its slot among the colours, shapes and dashes; the baseline has one of its own."""
    others = [name for name in names if name != BASELINE]
    slots = {name: place % COLOURS for place, name in enumerate(others)}
    return [
        {"name": shown(name, NAME), "baseline": name == BASELINE, "slot": slots.get(name, "base")} for name in names
    ]


def _blocks(result: RunResult, harmful: float | None) -> list[Block]:
    """Every table and note of the terminal."""
    console = PageConsole()
    print_result(result, console)
    print_more(result, harmful, console)
    return console.blocks


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    found.filters["name"] = lambda text: shown(text, NAME)
    return found


def _finalized(value: Any) -> Any:
    """Nothing reaches the page but cleaned text, or markup of our own."""
    return value if isinstance(value, Markup) else shown(value, MOST)
