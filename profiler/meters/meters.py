"""All meters of this machine together: opened once, a window a trial.

    engine and guards started
    |- cool-down -|- idle window -|- warm-up -| sync |- window of a trial -| sync |- window -| sync ...
                    idle power                        requests 1 .. n

*Sync*: the device has nothing more to do. vLLM runs in step with its requests, so it is idle once all streams have
ended, but for the step under way when a guard aborted one; the reset of the prefix cache, which comes before and after
each window, waits until the last aborted request has given its blocks back. The energy of that step is in the window
of the trial that caused it. The idle window has the model loaded and no request: it is what the same machine draws
while it waits, and what "net" takes off. (After Zeus, You et al., NSDI 2023.)
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiler.meters.gpu_meter import Card, GpuMeter, card_facts, probe
from profiler.meters.gpus import find_gpus, order_warning
from profiler.meters.meter import Meter
from profiler.meters.not_measured import NotMeasured
from profiler.meters.process_meter import ProcessMeter, find_pss
from profiler.meters.rapl import POWERCAP, RaplMeter, find_rapl
from profiler.meters.recorder import Recorder
from profiler.meters.roles import Role
from profiler.meters.sampler import PERIOD_S, Sampler
from profiler.records.samples import Samples


@dataclass(frozen=True)
class Meters:
    """What this machine can measure. `not_measured` says why not, each absence once."""

    processes: ProcessMeter
    gpus: GpuMeter | NotMeasured
    rapl: RaplMeter | NotMeasured
    sampler: Sampler
    not_measured: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def power(self) -> bool:
        """Whether anything here measures power."""
        cards = () if isinstance(self.gpus, NotMeasured) else self.gpus.cards
        return isinstance(self.rapl, RaplMeter) or any({"energy_j", "power_w"} & card.fast.keys() for card in cards)

    def begin(self, roles: Mapping[int, Role]) -> None:
        """Open a window. Takes some milliseconds."""
        self.processes.begin(roles)
        self.sampler.begin()

    def end(self, roles: Mapping[int, Role]) -> Samples:
        """Close the window; its samples."""
        self.processes.learn(roles)
        return self.sampler.end()

    def facts(self) -> dict[str, Any]:
        """For the run's manifest."""
        cards = () if isinstance(self.gpus, NotMeasured) else self.gpus.cards
        zones = () if isinstance(self.rapl, NotMeasured) else self.rapl.zones
        return {
            "period_s": PERIOD_S,
            "gpus": [card_facts(card) for card in cards],
            "rapl": [zone.name for zone in zones],
            "warnings": list(self.warnings),
        }


@contextmanager
def open_meters(
    powercap: Path = POWERCAP,
    now_ns: Callable[[], int] = time.monotonic_ns,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Meters]:
    """Probe what there is, and start the sampling thread. With a GPU this takes some two seconds for each."""
    processes = ProcessMeter(now_ns=now_ns)
    gpus, rapl = open_gpus(processes, now_ns, pause), find_rapl(powercap)
    meters: list[Meter] = [processes, *(meter for meter in (rapl, gpus) if not isinstance(meter, NotMeasured))]
    sampler = Sampler(Recorder(meters, now_ns))
    try:
        warnings = () if isinstance(gpus, NotMeasured) else gpu_warnings(gpus)
        yield Meters(processes, gpus, rapl, sampler, absences(gpus, rapl), warnings)
    finally:
        sampler.close()
        processes.close()


def open_gpus(
    processes: ProcessMeter,
    now_ns: Callable[[], int] = time.monotonic_ns,
    pause: Callable[[float], None] = time.sleep,
) -> GpuMeter | NotMeasured:
    """The run's cards, each probed."""
    found = find_gpus()
    if isinstance(found, NotMeasured):
        return found
    return GpuMeter([probe(gpu, now_ns=now_ns, pause=pause) for gpu in found], lambda: processes.pids, now_ns)


def absences(gpus: GpuMeter | NotMeasured, rapl: RaplMeter | NotMeasured) -> dict[str, str]:
    """What is not measured here, by meter, and why."""
    found = {
        name: meter.line for name, meter in (("gpu", gpus), ("cpu_energy", rapl)) if isinstance(meter, NotMeasured)
    }
    if isinstance(gpus, GpuMeter):
        found |= {f"{card.gpu.source} {name}": why for card in gpus.cards for name, why in card.absent.items()}
    if (pss := find_pss()) is not None:
        found["pss"] = pss.why
    return found


def gpu_warnings(gpus: GpuMeter) -> tuple[str, ...]:
    """What limits the GPU's figures from the start."""
    found = [order_warning([card.gpu for card in gpus.cards])]
    for card in gpus.cards:
        found.append(_card_warning(card))
    return tuple(text for text in found if text)


def _card_warning(card: Card) -> str:
    if card.gpu.mig:
        return (
            f"{card.gpu.source}: a MIG slice: energy, power, clocks and heat are the whole card's, others' work in it"
        )
    if "energy_j" in card.absent and "power_w" in card.fast:
        return f"{card.gpu.source}: no energy counter: its energy is the integral of power samples alone"
    return ""
