"""The report of several runs at different model sizes as one HTML document."""

from dataclasses import replace

from profiler.analysis.scale import Scale
from profiler.report.html import method
from profiler.report.html.document import Heading, document
from profiler.report.html.method import Limits
from profiler.report.html.parts import Section
from profiler.report.html.pictures import scale
from profiler.report.scale import invalid_runs, recorded_notes, sentence, size_text

_SIZES = Section("sizes", "Tax against size", "What the guards cost as the model grows.", ())


def scale_page_of(found: Scale) -> str:
    """The document; machine, versions and scenario are those of the smallest model's run."""
    first = found.runs[0].result.run
    facts = {**first.manifest["facts"], "model": f"Models of {', '.join(size_text(o.parameters) for o in found.runs)}"}
    run = replace(first, manifest={**first.manifest, "facts": facts})
    named = {
        size_text(one.parameters): f"{one.result.run.path.name}, {one.result.run.manifest['facts'].get('model', '?')}"
        for one in found.runs
    }
    return document(
        "scale.html.j2",
        Heading("tax against size", (f"{len(found.runs)} runs",)),
        run,
        list(found.arms),
        [(_SIZES, [scale.picture(found)])],
        answers=[
            (place, arm, [sentence(metric, one) for metric, one in mine.items()])
            for place, (arm, mine) in enumerate(found.arms.items())
        ],
        limits=Limits(invalid_runs(found), found.warnings, ()),
        notes_of_runs=recorded_notes(found),
        tables=[],
        groups=[("Runs", list(named.items())), *method.facts(run, {})],
        notes=[],
        commands=[(f"alignment-tax report {' '.join(method.place(o.result.run) for o in found.runs)}", "this report")],
    )
