"""A flame graph as one SVG file: no script, nothing fetched; titles on hover.

B. Gregg, "The Flame Graph", CACM 59(6), 2016: width is time, depth is the stack, order is alphabetical.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

_WIDTH, _ROW, _LEAST = 1200.0, 16, 0.4
_CHAR = 6.6


@dataclass
class _Node:
    """A function called from one place: its time and what it called."""

    ns: int = 0
    calls: dict[str, "_Node"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Box:
    name: str
    ns: int
    left: float
    width: float
    depth: int


def flame_graph(stacks: Mapping[tuple[str, ...], int], title: str) -> str:
    """SVG of nanoseconds by stack (names from the outermost call to the innermost)."""
    root = _Node()
    for stack, ns in stacks.items():
        root.ns += ns
        node = root
        for name in stack:
            node = node.calls.setdefault(name, _Node())
            node.ns += ns
    boxes = list(_boxes(root, 0.0, 0, _WIDTH / max(root.ns, 1)))
    height = (max((box.depth for box in boxes), default=0) + 3) * _ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}" font-family="monospace" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/><text x="4" y="12">{_safe(title)}</text>'
    )
    return "\n".join([head, *(_drawn(box, root.ns, height) for box in boxes), "</svg>\n"])


def _boxes(node: _Node, left: float, depth: int, per_ns: float) -> Iterator[_Box]:
    for name, called in sorted(node.calls.items()):
        width = called.ns * per_ns
        if width >= _LEAST:
            yield _Box(name, called.ns, left, width, depth)
            yield from _boxes(called, left, depth + 1, per_ns)
        left += width


def _drawn(box: _Box, total_ns: int, height: int) -> str:
    y = height - (box.depth + 1) * _ROW
    name = _safe(box.name)
    room = int(box.width / _CHAR) - 1
    label = _safe(box.name if len(box.name) <= room else box.name[: max(room - 1, 0)] + "…") if room > 2 else ""
    title = f"{name}: {box.ns / 1e9:.3f} s, {100 * box.ns / total_ns:.1f} %"
    return (
        f'<g><title>{title}</title><rect x="{box.left:.1f}" y="{y}" width="{box.width:.1f}" height="{_ROW - 1}" '
        f'fill="{_colour(box.name)}"/><text x="{box.left + 2:.1f}" y="{y + 11}">{label}</text></g>'
    )


def _colour(name: str) -> str:
    """A warm colour that the same name always has."""
    mixed = zlib.crc32(name.encode())
    return f"hsl({mixed % 50},{70 + mixed // 50 % 25}%,{60 + mixed // 2000 % 15}%)"


def _safe(text: str) -> str:
    """Text for XML: escaped, without the control characters that XML forbids."""
    return escape("".join(c if c.isprintable() else "?" for c in text))
