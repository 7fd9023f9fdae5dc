"""What a page is made of: sections of pictures, each with its words, its data and the table behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from profiler.analysis.tax import RunResult


@dataclass(frozen=True)
class DataTable:
    """A table as text. Cells of the first column head their row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """One picture: `data` is what `draw.<key>` of the page's script draws, `told` says in words what is to be seen.

    `why`, where there is nothing to draw: why that was not measured.
    """

    key: str
    title: str
    caption: str
    told: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    table: DataTable | None = None
    why: str = ""


@dataclass(frozen=True)
class Asked:
    """What a picture is made from: the run's result, its arms in order, and another share of harmful requests."""

    result: RunResult
    harmful: float | None

    @property
    def arms(self) -> list[str]:
        """Names as stored; pictures refer to arms by their place here."""
        return list(self.result.arms)


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, what it answers, and its pictures. Another kind of tax is another section."""

    key: str
    title: str
    lead: str
    pictures: Sequence[Callable[[Asked], Picture]]


def not_measured(key: str, title: str, why: str) -> Picture:
    """A picture of nothing: it says why."""
    return Picture(key, title, "", why=why)
