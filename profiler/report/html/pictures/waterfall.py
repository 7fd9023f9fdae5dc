"""Where the tax comes from: direct + induced + waste + saved + residual = measured."""

from typing import Any

from profiler.analysis.ledger_entries import Ledger
from profiler.analysis.pictures.waterfall import ENTRIES, Step, steps
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured
from profiler.report.numbers import with_half_width
from profiler.report.terminal import LATENCIES

_TITLE = "Direct, induced, waste, saved"
_CAPTION = (
    "Milliseconds a request on average. Direct: what requests waited for their guards. Induced: what the guards' work "
    "slows everybody's generation by. Waste: the engine's work on text that nobody got. Saved: what early blocks "
    "spared it. Residual: what is left of the measured difference. Whiskers are 95 % intervals; one without "
    "bounds goes from edge to edge."
)


def picture(asked: Asked) -> Picture:
    """A waterfall an arm, for TTFT and for E2EL."""
    ledgers = [
        (name, metric, ledger) for name, arm in asked.result.arms.items() for metric, ledger in arm.ledger.items()
    ]
    if not ledgers:
        return not_measured("waterfall", _TITLE, "a ledger needs the baseline and an arm in two blocks or more")
    by_difference = sorted({name for name, _, ledger in ledgers if ledger.by_difference})
    note = f" By difference, as the guard recorded no work of its own: {', '.join(by_difference)}."
    return Picture(
        "waterfall",
        _TITLE,
        _CAPTION + (note if by_difference else ""),
        told=_told(ledgers),
        data={
            "panels": [
                {"arm": asked.arms.index(name), "metric": LATENCIES[metric], "steps": [_step(s) for s in steps(ledger)]}
                for name, metric, ledger in ledgers
            ]
        },
        table=DataTable(
            ("arm", "latency", *ENTRIES, "measured"),
            [(name, LATENCIES[metric], *(_cell(s) for s in steps(ledger))) for name, metric, ledger in ledgers],
        ),
    )


def _step(step: Step) -> dict[str, Any]:
    value = step.value
    return {
        "entry": step.entry,
        "start": step.start,
        "end": step.end,
        "reach": value.half_width,
        "said": f"{with_half_width(value)} ms",
    }


def _cell(step: Step) -> str:
    return with_half_width(step.value)


def _told(ledgers: list[tuple[str, str, Ledger]]) -> str:
    said = [
        f"{name} {with_half_width(ledger.measured)} ms, of it direct {with_half_width(ledger.direct)}"
        for name, metric, ledger in ledgers
        if metric == "e2el_ms"
    ]
    return f"Waterfalls of {len(ledgers)} ledgers. E2EL: {'; '.join(said[:8])}."
