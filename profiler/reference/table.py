"""The short table that the reference run prints last: a row an arm of each part, from the stored reports."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from profiler.report.text import printable

_HEAD = f"{'part, arm':<32}{'tok/s':>9}{'TTFT p50':>10}{'E2EL p50':>10}{'E2EL tax':>9}{'J/token':>9}"


def table(out: Path, parts: Sequence[str]) -> Iterator[str]:
    """Lines of at most 80 columns; latencies in ms. `-`: not measured."""
    yield _HEAD
    for part in parts:
        document = _read(out / part / "report.json")
        if document is None:
            yield f"{part}: not run"
            continue
        yield part
        for name, arm in document["arms"].items():
            yield _row(name, arm)


def _row(name: str, arm: dict[str, Any]) -> str:
    figures = arm["metrics"]
    tax = arm["tax"].get("e2el_ms.mean") or {}
    cells = (
        _number((figures["output_tokens_per_s"] or {}).get("mean"), "9.0f"),
        _number((figures["ttft_ms"] or {}).get("p50"), "10.0f"),
        _number((figures["e2el_ms"] or {}).get("p50"), "10.0f"),
        _number(tax.get("relative"), "+9.1%"),
        _number(figures["energy_j_per_token"], "9.3f"),
    )
    return f"  {printable(name)[:29]:<30}" + "".join(cells)


def _number(value: float | None, form: str) -> str:
    width = int(form.lstrip("+").partition(".")[0])
    return f"{'-':>{width}}" if value is None else format(value, form)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
