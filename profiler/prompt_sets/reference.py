"""How a scenario names a prompt set: `file.jsonl`, `xstest:file.csv`, `xstest:hub`, `xstest:hub:owner/name`."""

import re
from dataclasses import dataclass
from pathlib import Path

from profiler.prompt_sets.published import PUBLISHED

_NAMED = re.compile(r"([A-Za-z][\w-]*):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """A set's name (empty: our own layout), and its file, or where on the hub it is (`repo` empty: the usual place)."""

    set: str
    path: str
    on_hub: bool = False
    repo: str = ""

    def __str__(self) -> str:
        """As a scenario states it."""
        where = ":".join(part for part in ("hub", self.repo) if part) if self.on_hub else self.path
        return f"{self.set}:{where}" if self.set else where


def parsed(text: str) -> Reference:
    """Read a reference.

    Raises:
        ValueError: no such set, no file, or no hub id; the message says the cure.
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        if not text:
            raise ValueError("names no file: give a path, or a published set such as `xstest:file.csv`")
        return Reference("", text)
    name, rest = found.groups()
    if name not in PUBLISHED:
        raise ValueError(f"no prompt set `{name}`: there are {', '.join(PUBLISHED)} (a file of that name: ./{text})")
    if rest == "hub" or rest.startswith("hub:"):
        return _on_hub(name, rest)
    if not rest:
        raise ValueError(f"`{text}` names no file: give `{name}:file.csv`, or `{name}:hub`")
    return Reference(name, rest)


def _on_hub(name: str, rest: str) -> Reference:
    repo = rest.removeprefix("hub").removeprefix(":")
    if rest != "hub" and not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise ValueError(f"`{repo}` is no hub id: give `{name}:hub:owner/name`, or `{name}:hub`")
    return Reference(name, "", on_hub=True, repo=repo)


def check_reference(text: str) -> str:
    """The text, if it is a reference; raises as `parsed`."""
    parsed(text)
    return text


def absolute(text: str, folder: Path) -> str:
    """The reference with its file under `folder`, where it names one relative to it."""
    found = parsed(text)
    return text if found.on_hub else str(Reference(found.set, str(folder / found.path)))
