"""Energy of the CPU packages and their memory, by RAPL through the kernel's powercap.

The counters are of whole sockets: whatever else runs there is in them. `package` holds the cores; `dram` lies beside
it and is added; `core` and `uncore` lie inside, `psys` holds all of it, and none of them is added.
(Linux, Documentation/power/powercap; Intel SDM vol. 3B, 15.10.)
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiler.meters.meter import Sink
from profiler.meters.not_measured import NotMeasured

POWERCAP = Path("/sys/class/powercap")
CURE = (
    "`sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj` until the next "
    "boot (any user of the machine can then watch its power)"
)


@dataclass(frozen=True)
class Zone:
    """One counter: "package-0", "package-0.dram". It begins again at 0 after `wraps_at_j`."""

    name: str
    path: Path
    wraps_at_j: float

    def read_j(self) -> float:
        """Joules since some moment.

        Raises:
            OSError: the file cannot be read.
        """
        return int(self.path.read_bytes()) / 1e6


class RaplMeter:
    """Samples the counters of these zones."""

    def __init__(self, zones: Sequence[Zone], now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Of zones that could be read."""
        self.zones = tuple(zones)
        self._now_ns = now_ns
        self._lost: dict[str, str] = {}

    def fast(self, sink: Sink) -> None:
        """Every counter."""
        for zone in self.zones:
            if zone.name in self._lost:
                continue
            try:
                sink.add(f"rapl:{zone.name}", "energy_j", zone.read_j(), self._now_ns())
            except OSError as error:
                self._lost[zone.name] = str(error.strerror)

    def slow(self, sink: Sink, *, edge: bool) -> None:
        """Nothing more."""

    def facts(self) -> Mapping[str, Any]:
        """The zones."""
        return {
            "rapl": [
                {"source": f"rapl:{z.name}", "wraps_at_j": z.wraps_at_j, "lost": self._lost.get(z.name, "")}
                for z in self.zones
            ]
        }


def find_rapl(powercap: Path = POWERCAP) -> RaplMeter | NotMeasured:
    """The machine's counters, or why there is none, with the cure."""
    zones = [zone for place in sorted(powercap.glob("intel-rapl:*")) if (zone := _zone(place)) is not None]
    if not zones:
        return NotMeasured(f"no RAPL counter under {powercap} (a virtual machine seldom has one)")
    for zone in zones:
        try:
            zone.read_j()
        except PermissionError:
            return NotMeasured("RAPL: the kernel lets root alone read it", CURE)
        except (OSError, ValueError) as error:
            return NotMeasured(f"RAPL: {zone.path}: {error}")
    return RaplMeter(zones)


def _zone(place: Path) -> Zone | None:
    """A package, or the memory of one; None for what lies inside a package or holds it."""
    try:
        name = (place / "name").read_text(encoding="ascii").strip()
        if name == "dram":
            parent = place.parent / place.name.rpartition(":")[0]
            name = f"{(parent / 'name').read_text(encoding='ascii').strip()}.dram"
        elif not name.startswith("package-"):
            return None
        wraps_at_j = int((place / "max_energy_range_uj").read_bytes()) / 1e6
    except (OSError, ValueError):
        return None
    return Zone(name, Path(os.path.join(place, "energy_uj")), wraps_at_j)
