"""What the JSON documents look like: a JSON Schema (2020-12), committed, that they are held to."""

from pathlib import Path

VERSION = 1
_FILE = Path(__file__).parent / f"result-{VERSION}.json"


def schema_text() -> str:
    """The schema of what every command prints with `--format json`."""
    return _FILE.read_text(encoding="utf-8")
