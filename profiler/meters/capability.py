"""One thing that a machine can or cannot measure."""

from dataclasses import dataclass

from profiler.meters.not_measured import NotMeasured


@dataclass(frozen=True, slots=True)
class Capability:
    """`able`: whether it can be measured, or is as a measurement wants it; None of a mere fact. `cure`: what helps."""

    name: str
    text: str
    able: bool | None = None
    cure: str = ""


def absent(name: str, found: NotMeasured, cure: str = "") -> Capability:
    """Of what is not measured. `cure` where the absence knows none of its own."""
    return Capability(name, f"not measured: {found.why}", False, found.cure or cure)
