"""A console whose page is HTML: the terminal's tables and lines as blocks, which the template escapes and sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Cell:
    """Text; `indent` levels below the row that it belongs to."""

    text: str
    bold: bool = False
    indent: int = 0


@dataclass(frozen=True)
class Block:
    """A table with its title, or a paragraph: `text` with no `rows`."""

    text: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    right: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Group:
    """A table with what stands below it; `title` is the table's, or that of the line before one without."""

    title: str
    blocks: tuple[Block, ...]


def groups(blocks: Sequence[Block]) -> list[Group]:
    """The blocks by table; what comes before the first one has no group."""
    found: list[tuple[str, list[Block]]] = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        heads_next = not block.head and after is not None and bool(after.head) and not after.text
        if heads_next or (block.head and block.text):
            found.append((block.text, [] if heads_next else [block]))
        elif found:
            found[-1][1].append(block)
    return [Group(title, tuple(mine)) for title, mine in found]


class PageConsole(Console):
    """Takes what prints itself to a terminal; `blocks` is what it printed."""

    def __init__(self) -> None:
        """With no terminal behind it."""
        super().__init__(file=StringIO(), width=80)
        self.blocks: list[Block] = []

    def print(self, *objects: Any, **how: Any) -> None:
        """Add a table or a paragraph; `markup=False` is heeded, all other styling is the terminal's."""
        for content in objects:
            if isinstance(content, Table):
                self.blocks.append(_block(content))
            elif text := _plain(content, how.get("markup") is not False):
                self.blocks.append(Block(text))


def _block(table: Table) -> Block:
    rows = zip(*([_cell(cell) for cell in column.cells] for column in table.columns), strict=True)
    return Block(
        _cell(table.title).text,
        tuple(_cell(column.header).text for column in table.columns),
        tuple(rows),
        tuple(column.justify == "right" for column in table.columns),
    )


def _cell(content: Any) -> Cell:
    text = content if isinstance(content, Text) else Text.from_markup(str(content or ""))
    body = text.plain.strip()
    bold = bool(body) and any(str(s.style) == "bold" and s.end - s.start >= len(text.plain) for s in text.spans)
    return Cell(body, bold, len(text.plain) - len(text.plain.lstrip(" ")) if body else 0)


def _plain(content: Any, markup: bool) -> str:
    if isinstance(content, Text) or not markup:
        return str(content).strip()
    return Text.from_markup(str(content)).plain.strip()
