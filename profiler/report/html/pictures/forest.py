"""Tax by metric, as a forest plot with the A/A floor shaded."""

import math
from typing import Any

from profiler.analysis.pictures.forest import ForestPanel, ForestRow, forest
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured
from profiler.report.numbers import percent_with_range, with_range
from profiler.report.tax_table import SHOWN

_TITLE = "Tax by metric"
_CAPTION = (
    "Each arm against the baseline: the estimate and its 95 % interval, on a scale of ratios. Filled marks are claimed "
    "(tax or saving), hollow ones are not. The shaded band is what one baseline differs from the other: no claim falls "
    "inside it. For output tok/s less is worse, for all others more is."
)


def picture(asked: Asked) -> Picture:
    """Relative taxes of every arm, a panel a metric."""
    panels = forest(asked.result)
    if not panels:
        return not_measured("forest", _TITLE, "a tax needs the baseline and an arm in two blocks or more")
    return Picture(
        "forest",
        _TITLE,
        _CAPTION,
        told=_told(panels),
        data={"panels": [_panel(panel, asked.arms) for panel in panels]},
        table=DataTable(
            ("metric", "arm", "tax [95 % interval]", "in %", "A/A band, %", "verdict"),
            [_row(panel, row) for panel in panels for row in panel.rows],
        ),
    )


def _panel(panel: ForestPanel, arms: list[str]) -> dict[str, Any]:
    return {
        "metric": SHOWN[panel.metric].split(",")[0],
        "floor": panel.floor,
        "rows": [
            {
                "arm": arms.index(row.arm),
                "ratio": [1 + value for value in (row.relative.estimate, row.relative.low, row.relative.high)],
                "claimed": row.tax.claimed,
                "said": f"{_percent(row)} %" + (f" {row.tax.verdict}" if row.tax.claimed else ""),
            }
            for row in panel.rows
        ],
    }


def _row(panel: ForestPanel, row: ForestRow) -> tuple[str, ...]:
    floor = "-" if panel.floor is None else f"{100 * panel.floor[0]:+.1f} to {100 * panel.floor[1]:+.1f}"
    tax = with_range(row.tax.absolute, row.tax.ci95)
    return SHOWN[panel.metric], row.arm, tax, _percent(row), floor, row.tax.verdict


def _percent(row: ForestRow) -> str:
    return percent_with_range(row.relative.estimate, (row.relative.low, row.relative.high))


def _told(panels: tuple[ForestPanel, ...]) -> str:
    rows = [row for panel in panels for row in panel.rows]
    claimed = sum(row.tax.claimed for row in rows)
    widest = max((r for r in rows if math.isfinite(r.relative.estimate)), key=lambda r: abs(r.relative.estimate))
    metric = next(panel.metric for panel in panels if widest in panel.rows)
    return (
        f"Forest plot of {len(rows)} taxes over {len(panels)} metrics, {claimed} of them claimed. "
        f"Largest: {widest.arm}, {SHOWN[metric].split(',')[0]}, {_percent(widest)} %."
    )
