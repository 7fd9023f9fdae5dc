"""The report of a saturation sweep as one HTML document: each arm's capacity, and latency under load."""

from dataclasses import dataclass

from profiler.report.html import method
from profiler.report.html.document import Heading, document
from profiler.report.html.method import Limits
from profiler.report.html.parts import Section
from profiler.report.html.pictures import goodput, load_latency
from profiler.report.recorded import recorded_note
from profiler.report.saturation import capacity_cells, goal_words, stopped_notes, tax_cells
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
        limits=Limits((), (*([note] if note else []), *stopped, *result.warnings), ()),
        tables=[],
        groups=method.facts(run, {"probes": probes}),
        notes=[],
        commands=method.commands(run, "saturate"),
    )


def _row(place: int, name: str, arm: ArmCapacity) -> Row:
    cells = (*capacity_cells(arm.capacity), *tax_cells(arm.tax), str(len(arm.probes)))
    return Row(place, name, _sentence(arm, *cells[:4]), cells)


def _sentence(arm: ArmCapacity, rate: str, between: str, tax: str, ends: str) -> str:
    if arm.capacity.estimate_hz is None:
        return f"Not measured: {arm.capacity.why}."
    said = f"Keeps the SLO up to {rate} requests/s, surely between {between}"
    return f"{said}; a capacity tax of {tax}, {ends}." if arm.tax is not None else f"{said}."
