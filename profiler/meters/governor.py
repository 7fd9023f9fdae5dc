"""Whether the cores keep their clock: the kernel's frequency governors."""

from collections import Counter
from pathlib import Path

from profiler.meters.capability import Capability

CPUS = Path("/sys/devices/system/cpu")
STEADY = "performance"
CURE = "`sudo cpupower frequency-set -g performance` until the next boot"


def governor(cpus: Path = CPUS) -> Capability:
    """The governors of all cores, by how many have each."""
    found: Counter[str] = Counter()
    for file in cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            found[file.read_text(encoding="ascii").strip()] += 1
        except (OSError, ValueError):
            found["unreadable"] += 1
    if not found:
        return Capability(
            "governor", "none to be seen: the clock is the host's or the firmware's, as in a virtual machine"
        )
    said = ", ".join(f"{name} on {count} of {found.total()} cores" for name, count in found.most_common())
    if set(found) == {STEADY}:
        return Capability("governor", said, True)
    return Capability("governor", f"{said}: the clock follows the load, and latencies the clock", False, CURE)
