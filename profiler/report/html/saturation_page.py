"""The report of a saturation sweep as one HTML document: each arm's capacity, and latency under load."""

import math
from dataclasses import dataclass

from profiler.analysis.capacity import Capacity
from profiler.report.html import method
from profiler.report.html.document import Heading, document
from profiler.report.html.method import Limits
from profiler.report.html.parts import Section
from profiler.report.html.pictures import goodput, load_latency
from profiler.report.recorded import recorded_note
from profiler.report.saturation import capacity_cells, goal_words, stopped_notes, tax_cells
from profiler.saturation.probe import Goal
from profiler.saturation.result import ArmCapacity, SaturationResult

_LOAD = Section("load", "Under load", "How much each arm takes, and how latency grows on the way there.", ())


@dataclass(frozen=True)
class Row:
    """One arm: its place, the sentence, and the cells of the table."""

    place: int
    name: str
    sentence: str
    cells: tuple[str, ...]


def saturation_page_of(result: SaturationResult) -> str:
    """The document."""
    run, arms = result.run, list(result.arms)
    probes = sum(len(arm.probes) for arm in result.arms.values())
    note, stopped = recorded_note(run.manifest), stopped_notes(result)
    return document(
        "saturation.html.j2",
        Heading("capacity tax", (f"{probes} probes",)),
        run,
        arms,
        [(_LOAD, [goodput.picture(result), load_latency.of_run(run, arms)])],
        goal=goal_words(result.goal).removesuffix(":"),
        rows=[_row(place, name, arm) for place, (name, arm) in enumerate(result.arms.items())],
        limits=Limits((), (*([note] if note else []), *stopped, *result.warnings), method.absent(run.manifest)),
        tables=[],
        groups=method.facts(run, {"probes": probes}),
        notes=[],
        commands=method.commands(run, " ".join(("saturate", *_flags(result.goal)))),
    )


def _flags(goal: Goal) -> tuple[str, ...]:
    """The goal as it is given on a command line; the objectives are the scenario's."""
    said = ("--good-fraction", goal.good_fraction), ("--resolution", goal.resolution)
    shares = (text for flag, share in said for text in (flag, f"{share:.12g}"))
    return *shares, "--probe-seconds", f"{goal.probe_seconds:.12g}", *(("--curve",) if goal.curve else ())


def _row(place: int, name: str, arm: ArmCapacity) -> Row:
    cells = (*capacity_cells(arm.capacity), *tax_cells(arm.tax), str(len(arm.probes)))
    return Row(place, name, _sentence(arm, *cells[:4]), cells)


def _sentence(arm: ArmCapacity, rate: str, between: str, tax: str, ends: str) -> str:
    if arm.capacity.estimate_hz is None:
        return f"Not measured: {arm.capacity.why}."
    said = f"Keeps the SLO up to {_bounded(arm.capacity, rate, between)}"
    if arm.tax is None:
        return f"{said}."
    if arm.tax.low <= 0 <= arm.tax.high:
        return f"{said}; no capacity tax found [{ends.replace(' to ', ', ')}] %, 95 %."
    return f"{said}; a capacity tax of {tax}, {ends}, 95 %."


def _bounded(capacity: Capacity, rate: str, between: str) -> str:
    """The rate with its bounds, or which of them no probe has shown."""
    held, missed = capacity.low_hz > 0, math.isfinite(capacity.high_hz)
    if held and missed:
        return f"{rate} requests/s, surely between {between}"
    lacking = " or ".join(word for word, known in (("clearly held", held), ("clearly missed", missed)) if not known)
    known = f", surely {capacity.low_hz:.3g} or more" if held else ""
    known = f", surely {capacity.high_hz:.3g} or less" if missed else known
    return f"about {rate} requests/s{known}; no rate tried {lacking} it"
