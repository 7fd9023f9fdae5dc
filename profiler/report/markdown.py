"""A console whose page is Markdown: what prints itself to a terminal also prints itself for a pull request.

Everything that comes from a run is text here: it makes no markup, no link, no mention and no HTML.
"""

import re
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from profiler.report.text import printable

# Of CommonMark and GitHub's own: emphasis, code, links, tables, strikethrough, mathematics.
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BREAK = "\u200b"


def escaped(text: str) -> str:
    """The text as it reads, in one line; a break of no width keeps addresses, mentions and issues from being links."""
    plain = printable(" ".join(text.split()))
    plain = "".join(_HTML.get(c, c) for c in plain)
    plain = _SPECIAL.sub(r"\\\1", plain)
    plain = re.sub(r"([@#])(?=\w)", rf"\1{_BREAK}", plain)
    plain = re.sub(r"(?i)(://|www\.)", lambda found: found[0][:-1] + _BREAK + found[0][-1], plain)
    # What begins a list, a heading or a line across at the start of a line.
    return re.sub(r"^([-+=#]|\d+[.)])(?=\s|$|[-=])", lambda found: f"{found[0][:-1]}\\{found[0][-1]}", plain)


def markdown_table(table: Table) -> str:
    """The same table, its title as a line above it."""
    heads = [_cell(column.header) for column in table.columns]
    rows = zip(*([_cell(cell) for cell in column.cells] for column in table.columns), strict=True)
    rule = ["---:" if column.justify == "right" else "---" for column in table.columns]
    lines = [f"| {' | '.join(row)} |" for row in (heads, rule, *rows)]
    title = [f"**{_cell(table.title)}**", ""] if table.title else []
    return "\n".join([*title, *lines])


def _cell(content: Any) -> str:
    """A cell as text, bold where all of it is; an indent is kept, as it says what belongs to what."""
    text = content if isinstance(content, Text) else Text.from_markup(str(content or ""))
    body = escaped(text.plain)
    indent = "&nbsp;" * (len(text.plain) - len(text.plain.lstrip(" "))) if body else ""
    bold = bool(body) and any(str(s.style) == "bold" and s.end - s.start >= len(text.plain) for s in text.spans)
    return f"{indent}**{body}**" if bold else indent + body


class MarkdownConsole(Console):
    """Takes tables and lines of markup, as the terminal's console does; `page` is what they make."""

    def __init__(self) -> None:
        """With no terminal behind it."""
        super().__init__(file=StringIO(), width=80)
        self._parts: list[str] = []

    def print(self, *objects: Any, **how: Any) -> None:
        """Add a table or a paragraph; `markup=False` is heeded, all other styling is the terminal's."""
        for content in objects:
            if isinstance(content, Table):
                self._parts.append(markdown_table(content))
            elif how.get("markup") is False or isinstance(content, Text):
                self._parts.append(escaped(str(content)))
            else:
                self._parts.append(escaped(Text.from_markup(str(content)).plain))

    @property
    def page(self) -> str:
        """The whole document."""
        return "\n\n".join(part for part in self._parts if part) + "\n"
