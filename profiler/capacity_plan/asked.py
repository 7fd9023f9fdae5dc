"""What a plan is made for."""

from dataclasses import dataclass

from profiler.analysis.percentiles import Objective
from profiler.analysis.traffic import Traffic


@dataclass(frozen=True)
class Asked:
    """The rate to serve under the objectives; `traffic` is the trace that it is the mean of, if there is one.

    `headroom`: the share of each replica's capacity left free. `harmful`: the share of harmful requests, None for the
    sweep's own. Prices are in a currency of the reader's: of a GPU's hour, and of a kWh.
    """

    objectives: tuple[Objective, ...]
    mean_hz: float
    headroom: float = 0.0
    harmful: float | None = None
    gpu_hour_price: float | None = None
    kwh_price: float | None = None
    traffic: Traffic | None = None
    traffic_file: str = ""

    @property
    def serve_hz(self) -> float:
        """What the fleet must serve: the trace's busiest minute, else the rate itself."""
        return self.mean_hz if self.traffic is None else self.traffic.peak_hz
