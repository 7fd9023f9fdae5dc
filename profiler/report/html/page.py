"""The report of a profiled run as one HTML document: sections of pictures between the verdict and the method."""

from profiler.analysis.tax import RunResult
from profiler.report.html import method
from profiler.report.html.console import Block, PageConsole, groups
from profiler.report.html.document import Heading, document
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
from profiler.report.html.verdict import verdicts
from profiler.report.more import print_more
from profiler.report.recorded import recorded_note
from profiler.report.resources import meter_notes
from profiler.report.tax_table import detectable
from profiler.report.terminal import print_result

SECTIONS = (
    Section("cost", "What it costs", "How much slower, and how sure that is.", (forest.picture, ecdf.picture)),
    Section("why", "Where it comes from", "The same tax taken apart.", (waterfall.picture, timelines.picture)),
    Section(
        "load", "Under other loads", "What another rate or mix would cost.", (load_latency.picture, fractions.picture)
    ),
    Section("benefit", "What it buys", "The safety that the tax pays for.", (front.picture,)),
    Section("machine", "What the machine pays", "Memory and power.", (memory.picture, power.picture)),
)
"""The parts of the page that hold pictures, in order. Another kind of tax is another section."""


def page_of(result: RunResult, harmful: float | None) -> str:
    """The document. `harmful`: another share of harmful requests that the reader has asked for."""
    asked, run = Asked(result, harmful), result.run
    requests = sum(arm.requests for arm in result.arms.values())
    sizes = {
        "blocks": result.blocks,
        "requests": f"{requests:,}",
        "smallest difference found with 80 % power": detectable(result),
    }
    return document(
        "page.html.j2",
        Heading("latency tax", (_counted(result.blocks, "block"), _counted(requests, "request"))),
        run,
        asked.arms,
        [(section, [make(asked) for make in section.pictures]) for section in SECTIONS],
        valid=result.valid,
        note=recorded_note(run.manifest),
        verdicts=verdicts(result),
        taxes=first_taxes(result),
        limits=method.limits(result),
        tables=groups(_blocks(result, harmful)),
        groups=method.facts(run, sizes),
        notes=meter_notes(run.manifest),
        commands=method.commands(run, "profile", "" if harmful is None else f" --harmful {100 * harmful:.12g}%"),
    )  # fmt: skip


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _blocks(result: RunResult, harmful: float | None) -> list[Block]:
    """Every table and note of the terminal."""
    console = PageConsole()
    print_result(result, console)
    print_more(result, harmful, console)
    return console.blocks
