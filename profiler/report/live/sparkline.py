"""Figures as a row of blocks."""

from collections.abc import Sequence

_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", "_.-:=+*#"


def sparkline(values: Sequence[float | None], width: int, top: float, *, ascii_only: bool = False) -> str:
    """The values in at most `width` cells, from 0 to `top`; a blank where there was none. The latest is at the end.

    More values than cells: each cell has the mean of its share.
    """
    ramp = _ASCII if ascii_only else _BLOCKS
    return "".join(" " if v is None else ramp[_level(v, top, len(ramp))] for v in _shrunk(values, width))


def _level(value: float, top: float, levels: int) -> int:
    if top <= 0:
        return 0
    return max(0, min(levels - 1, int(value / top * levels)))


def _shrunk(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width or width < 1:
        return list(values[-width:]) if width > 0 else []
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [_mean(values[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
