"""A speedscope file as samples: which stack was seen, for how long.

Format: https://www.speedscope.app/file-format-schema.json, profiles of type "sampled".
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_UNITS_NS = {"none": 0, "nanoseconds": 1, "microseconds": 10**3, "milliseconds": 10**6, "seconds": 10**9}


@dataclass(frozen=True, slots=True)
class Frame:
    """One function; `file` is empty where it is not known."""

    name: str
    file: str


Stack = tuple[Frame, ...]
"""From the outermost to the innermost call."""


class NotSpeedscope(ValueError):
    """The file is not a speedscope file of samples; the message says why."""


def read_stacks(path: Path) -> Counter[Stack]:
    """Nanoseconds by stack, over all threads of the file.

    Raises:
        NotSpeedscope: unreadable, or of another form.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        frames = [Frame(str(frame["name"]), str(frame.get("file") or "")) for frame in document["shared"]["frames"]]
        found: Counter[Stack] = Counter()
        for profile in document["profiles"]:
            unit_ns = _UNITS_NS[profile["unit"]]
            for sample, weight in zip(profile["samples"], profile["weights"], strict=True):
                found[tuple(frames[index] for index in sample)] += round(weight * unit_ns)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise NotSpeedscope(f"{path}: {type(error).__name__}: {error}") from error
    return found
