"""One HTML document: what every kind of page has round its own sections."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from profiler.records.store import StoredRun
from profiler.report.html import method, script
from profiler.report.html.parts import Picture, Section
from profiler.report.html.text import MOST, NAME, shown
from profiler.scenario import BASELINE

COLOURS = 8
"""How many the style sheet has for arms; more arms share them, with another dash and shape."""
_FOLDER = Path(__file__).parent
Filled = Sequence[tuple[Section, Sequence[Picture]]]


@dataclass(frozen=True)
class Heading:
    """`kind` of report, and `sizes`: what the run was made of, for the line under the model's name."""

    kind: str
    sizes: tuple[str, ...]


def document(template: str, heading: Heading, run: StoredRun, arms: Sequence[str], sections: Filled, **own: Any) -> str:
    """The template with what is its own.

    It asks nothing of the network, and no script runs in it but its own (Content-Security-Policy by SHA-256).
    """
    styled = _styled(arms)
    drawn = {one.key: one.data for _, pictures in sections for one in pictures if not one.why}
    return _environment().get_template(template).render(
        heading=heading,
        facts=run.manifest["facts"],
        run_id=run.manifest["id"],
        started=str(run.manifest.get("started") or "")[:10],
        arms=styled,
        sections=sections,
        scenario=method.scenario(run),
        style=Markup((_FOLDER / "assets" / "page.css").read_text(encoding="utf-8")),
        scripts=[Markup(text) for text in script.scripts()],
        policy=script.policy(),
        data=Markup(script.as_data({"arms": styled, "pictures": drawn})),
        **own,
    )  # fmt: skip


def _styled(names: Sequence[str]) -> list[dict[str, Any]]:
    """Each arm's name and its slot among the colours, shapes and dashes; the baseline has one of its own."""
    others = [name for name in names if name != BASELINE]
    slots = {name: place % COLOURS for place, name in enumerate(others)}
    return [
        {"name": shown(name, NAME), "baseline": name == BASELINE, "slot": slots.get(name, "base")} for name in names
    ]


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
