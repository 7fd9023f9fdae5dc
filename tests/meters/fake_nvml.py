"""NVML faked at its boundary: pynvml's functions answer from made cards, at the time of a made clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

COUNTER_STEP_S = 0.1
POWER_STEP_S = 0.02
OLD = pynvml.NVML_ERROR_NOT_SUPPORTED


@dataclass
class Clock:
    """Time that goes on only when told."""

    t_ns: int = 0

    def now_ns(self) -> int:
        return self.t_ns

    def pause(self, seconds: float) -> None:
        self.t_ns += round(seconds * 1e9)

    @property
    def t_s(self) -> float:
        return self.t_ns / 1e9


@dataclass
class FakeCard:
    """`watts` is (from second, W) in order. The counter moves each 100 ms, power each 20 ms, as on a real card."""

    uuid: str
    watts: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 100.0)])
    name: str = "Made H100"
    counter: bool = True
    instant: bool = True
    counter_scale: float = 1.0
    reasons: Callable[[float], int] = lambda t_s: 0
    lost_at_s: float = float("inf")
    processes: dict[int, int | None] = field(default_factory=dict)
    slices: tuple[str, ...] = ()
    percent: int = 50

    def power_w(self, t_s: float) -> float:
        # Hundredths that tell one reading from the next, as a real sensor's do.
        jitter = 0.001 * (round(t_s / POWER_STEP_S) % 7)
        return [w for since, w in self.watts if since <= t_s][-1] + jitter

    def joules(self, t_s: float) -> float:
        ends = [*(since for since, _ in self.watts[1:]), float("inf")]
        return sum(w * max(min(t_s, end) - since, 0.0) for (since, w), end in zip(self.watts, ends, strict=True))


@dataclass(frozen=True)
class Slice:
    card: FakeCard
    uuid: str


class FakeNvml:
    """Install it with a monkeypatch; whatever is not faked is pynvml's own and fails for want of a driver."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock, *cards: FakeCard) -> None:
        self.clock, self.cards = clock, cards
        faked: dict[str, Any] = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: len(cards),
            "nvmlDeviceGetHandleByIndex": lambda index: cards[index],
            "nvmlDeviceGetHandleByUUID": self._by_uuid,
            "nvmlDeviceGetUUID": lambda handle: handle.uuid,
            "nvmlDeviceGetName": lambda handle: handle.name,
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda handle: handle.card,
            "nvmlDeviceGetTotalEnergyConsumption": self._energy_mj,
            "nvmlDeviceGetFieldValues": self._fields,
            "nvmlDeviceGetPowerUsage": lambda card: self._power_mw(card),
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda card: self._at(card).reasons(self.clock.t_s),
            "nvmlDeviceGetUtilizationRates": lambda card: SimpleNamespace(gpu=self._at(card).percent),
            "nvmlDeviceGetClockInfo": lambda card, which: 1980 if which == pynvml.NVML_CLOCK_SM else 2619,
            "nvmlDeviceGetTemperature": lambda card, which: 60 + (self.clock.t_s > 5),
            "nvmlDeviceGetMemoryInfo": self._memory,
            "nvmlDeviceGetComputeRunningProcesses": self._processes,
        }
        for name, fake in faked.items():
            monkeypatch.setattr(pynvml, name, fake)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def _at(self, handle: FakeCard | Slice) -> FakeCard:
        card = handle.card if isinstance(handle, Slice) else handle
        if self.clock.t_s >= card.lost_at_s:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return card

    def _by_uuid(self, uuid: str) -> Slice:
        for card in self.cards:
            if uuid in card.slices:
                return Slice(card, uuid)
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def _energy_mj(self, handle: FakeCard) -> int:
        card = self._at(handle)
        if not card.counter:
            raise pynvml.NVMLError(OLD)
        moved_s = int(self.clock.t_ns // round(COUNTER_STEP_S * 1e9)) * COUNTER_STEP_S
        return round(1e3 * card.counter_scale * card.joules(moved_s))

    def _power_mw(self, handle: FakeCard) -> int:
        card = self._at(handle)
        return round(1e3 * card.power_w(int(self.clock.t_ns // round(POWER_STEP_S * 1e9)) * POWER_STEP_S))

    def _fields(self, handle: FakeCard, fields: list[int]) -> list[Any]:
        assert fields == [pynvml.NVML_FI_DEV_POWER_INSTANT]
        if not self._at(handle).instant:
            return [SimpleNamespace(nvmlReturn=OLD, value=None)]
        return [SimpleNamespace(nvmlReturn=pynvml.NVML_SUCCESS, value=SimpleNamespace(uiVal=self._power_mw(handle)))]

    def _memory(self, handle: FakeCard | Slice, version: int | None = None) -> Any:
        if not self._at(handle).counter and version is not None:  # an old driver
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        used, total = 2**30 if isinstance(handle, Slice) else 4 * 2**30, 80 * 2**30
        return SimpleNamespace(used=used, total=total, free=total - used)

    def _processes(self, handle: FakeCard | Slice) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self._at(handle).processes.items()]
