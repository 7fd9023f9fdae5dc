"""Energy, power, clocks, heat and memory of the run's GPUs, through NVML."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pynvml

from profiler.meters.gpu_readings import (
    FAST,
    POWER_INSTANT,
    POWER_USAGE,
    SLOW,
    Reading,
    memory_by_pid,
    power_instant_w,
    power_usage_w,
)
from profiler.meters.gpus import Gpu
from profiler.meters.meter import Sink
from profiler.meters.update_period import update_period_s

_GONE = (
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
    pynvml.NVML_ERROR_NOT_FOUND,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_UNINITIALIZED,
)


@dataclass
class Card:
    """A card, what it can be asked, and what it cannot and why. `lost` says why it answers no more."""

    gpu: Gpu
    fast: dict[str, Reading]
    slow: dict[str, Reading]
    absent: dict[str, str]
    power_source: str
    period_s: dict[str, float | None] = field(default_factory=dict)
    by_process: bool = True
    lost: str = ""


class GpuMeter:
    """Samples every card. One that vanishes gives no samples from then on, and `lost` says why."""

    def __init__(
        self,
        cards: Sequence[Card],
        pids: Callable[[], Collection[int]],
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Of probed cards; `pids` are the run's processes."""
        self.cards = tuple(cards)
        self._pids = pids
        self._now_ns = now_ns

    def fast(self, sink: Sink) -> None:
        """Energy counter, power, throttle reasons."""
        for card in self.cards:
            self._read(card, card.fast, sink)

    def slow(self, sink: Sink, *, edge: bool) -> None:
        """Utilisation, clocks, temperature, memory, memory by process."""
        for card in self.cards:
            self._read(card, card.slow, sink)
            if card.by_process and not card.lost:
                self._by_process(card, sink)

    def _read(self, card: Card, readings: Mapping[str, Reading], sink: Sink) -> None:
        for name, read in readings.items():
            if card.lost:
                return
            before_ns = self._now_ns()
            try:
                value = read(card.gpu)
            except pynvml.NVMLError as error:
                _failed(card, error)
                continue
            sink.add(card.gpu.source, name, value, (before_ns + self._now_ns()) // 2)

    def _by_process(self, card: Card, sink: Sink) -> None:
        t_ns = self._now_ns()
        try:
            found = memory_by_pid(card.gpu)
        except pynvml.NVMLError as error:
            _failed(card, error)
            return
        mine = self._pids()
        for pid, used in found.items():
            if used is not None:
                whose = str(pid) if pid in mine else "foreign"
                sink.add(card.gpu.source, f"memory_bytes:{whose}", used, t_ns)

    def facts(self) -> Mapping[str, Any]:
        """The cards, and what was found of them."""
        return {"gpus": [card_facts(card) for card in self.cards]}


def card_facts(card: Card) -> dict[str, Any]:
    """What must be known of a card to read its samples."""
    gpu = card.gpu
    return {
        "source": gpu.source,
        "name": gpu.name,
        "uuid": gpu.uuid,
        "mig": gpu.mig,
        "power_source": card.power_source,
        "update_period_s": card.period_s,
        "not_measured": card.absent,
        "lost": card.lost,
    }


def _failed(card: Card, error: Any) -> None:
    # Any other failure is for once: that sample is missing.
    if error.value in _GONE:
        card.lost = str(error)


def probe(
    gpu: Gpu,
    *,
    now_ns: Callable[[], int] = time.monotonic_ns,
    pause: Callable[[float], None] = time.sleep,
) -> Card:
    """Try everything once; watch counter and power for a second each to find their update periods."""
    power = power_instant_w if _why_not(power_instant_w, gpu) is None else power_usage_w
    fast: dict[str, Reading] = {**FAST, "power_w": power}
    absent = {name: why for name, read in (*fast.items(), *SLOW.items()) if (why := _why_not(read, gpu))}
    card = Card(
        gpu,
        {name: read for name, read in fast.items() if name not in absent},
        {name: read for name, read in SLOW.items() if name not in absent},
        absent,
        POWER_INSTANT if power is power_instant_w else POWER_USAGE,
    )
    for name in ("energy_j", "power_w"):
        if name in card.fast:
            card.period_s[name] = _period_s(card, name, now_ns, pause)
    if (why := _why_not_by_process(gpu)) is not None:
        card.by_process, card.absent["memory_by_process"] = False, why
    return card


def _period_s(card: Card, name: str, now_ns: Callable[[], int], pause: Callable[[float], None]) -> float | None:
    try:
        return update_period_s(lambda: card.fast[name](card.gpu), now_ns=now_ns, pause=pause)
    except pynvml.NVMLError as error:
        _failed(card, error)
        return None


def _why_not(read: Reading, gpu: Gpu) -> str | None:
    try:
        read(gpu)
    except pynvml.NVMLError as error:
        return str(error)
    return None


def _why_not_by_process(gpu: Gpu) -> str | None:
    try:
        memory_by_pid(gpu)
    except pynvml.NVMLError as error:
        return str(error)
    return None
