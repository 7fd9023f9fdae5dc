"""The page's scripts and data, and the policy that lets no other script run."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from profiler.report.html.text import NAME, shown

_FOLDER = Path(__file__).parent
VENDORED = ("d3.min.js", "plot.umd.min.js")
# Data may hold what ends a script or begins markup: JSON has a spelling for each that HTML does not read.
_ESCAPES = {c: f"\\u{ord(c):04x}" for c in "<>&"}


@cache
def scripts() -> tuple[str, ...]:
    """The vendored library, then the page's own: its base, a file a picture, and the start."""
    own = [
        _FOLDER / "assets" / "base.js",
        *sorted((_FOLDER / "assets" / "pictures").glob("*.js")),
        _FOLDER / "assets" / "start.js",
    ]
    vendored = [(_FOLDER / "vendor" / name).read_text(encoding="utf-8") for name in VENDORED]
    return *vendored, "\n".join(path.read_text(encoding="utf-8") for path in own)


@cache
def policy() -> str:
    """The Content-Security-Policy: nothing from anywhere, and of scripts only those of `scripts`, by their SHA-256.

    Styles are inline, as the library sets them on what it draws.
    """
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for text in scripts())
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def as_data(found: Any) -> str:
    """JSON that is safe inside a script element: texts cleaned, what is not finite null, no `<`, `>` or `&`."""
    text = json.dumps(_clean(found), allow_nan=False, separators=(",", ":"))
    return "".join(_ESCAPES.get(c, c) for c in text) if any(c in text for c in _ESCAPES) else text


def _clean(found: Any) -> Any:
    if isinstance(found, str):
        return shown(found, NAME)
    if isinstance(found, float):
        return float(f"{found:.6g}") if math.isfinite(found) else None
    if isinstance(found, Mapping):
        return {shown(key, NAME): _clean(value) for key, value in found.items()}
    if isinstance(found, Sequence):
        return [_clean(value) for value in found]
    return found
