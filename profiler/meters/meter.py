"""What a meter is: something that is read again and again while a window is open."""

from collections.abc import Mapping
from typing import Any, Protocol


class Sink(Protocol):
    """Takes samples."""

    def add(self, source: str, name: str, value: float, t_ns: int) -> None:
        """One sample: of what ("gpu0", "process:123"), which quantity with its unit, when (monotonic ns)."""
        ...


class Meter(Protocol):
    """One meter. A quantity that the machine lacks, or that fails for once, gives no sample."""

    def fast(self, sink: Sink) -> None:
        """What is read ten times a second, and last before a window and first after it."""
        ...

    def slow(self, sink: Sink, *, edge: bool) -> None:
        """What is read once a second. `edge`: the window is not open, so what is dear may be read too."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What must be known to read the samples, as JSON: devices, processes, what was lost and when."""
        ...
