"""Single requests on their time line: guards over the token stream."""

from typing import Any

from profiler.analysis.pictures.timelines import RequestLine, request_lines
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured

_TITLE = "Single requests"
_CAPTION = (
    "One request at the median E2EL of each arm, one at its p99, and a blocked one, from the scheduled arrival. Bars "
    "are the engine's calls and the guards' stages; ticks on the engine's lane are pieces that left it, on the user's "
    "pieces that were delivered; a diamond is a guard's verdict."
)


def picture(asked: Asked) -> Picture:
    """A little Gantt chart a request."""
    found = request_lines(asked.result)
    if not found:
        return not_measured("timelines", _TITLE, "no request was answered in a trial that can be read")
    left_out = sum(line.left_out for line in found)
    return Picture(
        "timelines",
        _TITLE,
        _CAPTION + (f" {left_out} of the shortest stages are not drawn." if left_out else ""),
        told=f"Time lines of {len(found)} requests: {'; '.join(_said(line) for line in found[:6])}.",
        data={"lines": [_line(line, asked.arms) for line in found]},
        table=DataTable(
            ("arm", "request", "lane", "what", "from, ms", "to, ms"), [row for line in found for row in _rows(line)]
        ),
    )


def _said(line: RequestLine) -> str:
    return f"{line.arm} {line.which} {line.e2el_ms:.0f} ms"


def _line(line: RequestLine, arms: list[str]) -> dict[str, Any]:
    return {
        "arm": arms.index(line.arm),
        "which": line.which,
        "e2el": line.e2el_ms,
        "outcome": line.outcome,
        "bars": [
            [bar.lane, bar.what.replace("_", " "), round(bar.start_ms, 3), round(bar.end_ms, 3)] for bar in line.bars
        ],
        "ticks": [[tick.lane, tick.what, round(tick.at_ms, 3)] for tick in line.ticks],
    }


def _rows(line: RequestLine) -> list[tuple[str, ...]]:
    request = f"{line.which}: {line.prompt_id}, {line.label}, {line.outcome}"
    rows = [
        (line.arm, request, bar.lane, bar.what.replace("_", " "), f"{bar.start_ms:.1f}", f"{bar.end_ms:.1f}")
        for bar in line.bars[:40]
    ]
    delivered = (line.arm, request, "user", f"{line.output_tokens} tokens delivered")
    return [*rows, (*delivered, f"{line.first_ms:.1f}", f"{line.e2el_ms:.1f}")]
