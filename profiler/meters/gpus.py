"""The GPUs of this run: those that CUDA lets it see, as NVML knows them.

`CUDA_VISIBLE_DEVICES` as CUDA reads it (CUDA programming guide, environment variables): indices, GPU UUIDs or their
beginnings, MIG UUIDs; the first that names nothing ends the list; empty or -1 is no GPU. An index counts in NVML's
order, PCI bus order: CUDA's own for GPUs of one kind; for unlike ones `CUDA_DEVICE_ORDER=PCI_BUS_ID` makes it so.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml

from profiler.meters.not_measured import NotMeasured


@dataclass(frozen=True)
class Gpu:
    """One card. `memory_handle` is the MIG slice's where the run has one: all but memory is the whole card's."""

    handle: Any
    memory_handle: Any
    index: int
    uuid: str
    name: str
    mig: bool = False

    @property
    def source(self) -> str:
        """How samples name it."""
        return f"gpu{self.index}"


def find_gpus(environ: Mapping[str, str] = os.environ) -> tuple[Gpu, ...] | NotMeasured:
    """The cards of this run, each once, or why there is none to read."""
    try:
        pynvml.nvmlInit()
        cards = [_card(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return NotMeasured(f"NVML: {error}")
    except OSError as error:
        return NotMeasured(f"NVML cannot be loaded: {error}")
    if not cards:
        return NotMeasured("no GPU")
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(cards)
    found = _chosen(cards, [item.strip() for item in visible.split(",")])
    return found or NotMeasured(f"CUDA_VISIBLE_DEVICES={visible} shows none of {len(cards)} GPU(s)")


def order_warning(gpus: Sequence[Gpu], environ: Mapping[str, str] = os.environ) -> str:
    """That an index may name another card to CUDA than to NVML, if it may."""
    by_index = all(item.strip().isdigit() for item in environ.get("CUDA_VISIBLE_DEVICES", "0").split(","))
    unlike = pynvml.nvmlDeviceGetCount() > 1 and len({_card(i).name for i in range(pynvml.nvmlDeviceGetCount())}) > 1
    if gpus and by_index and unlike and environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        return "the GPUs are unlike and CUDA may count them otherwise than NVML: set CUDA_DEVICE_ORDER=PCI_BUS_ID"
    return ""


def _card(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(handle, handle, index, pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle))


def _chosen(cards: Sequence[Gpu], items: Sequence[str]) -> tuple[Gpu, ...]:
    found: dict[str, Gpu] = {}
    for item in items:
        card = _mig(cards, item) if item.startswith("MIG-") else _whole(cards, item)
        if card is None:
            break
        # Two slices of one card: its energy counts once.
        found.setdefault(card.uuid, card)
    return tuple(found.values())


def _whole(cards: Sequence[Gpu], item: str) -> Gpu | None:
    if item.isdigit():
        return cards[int(item)] if int(item) < len(cards) else None
    named = [card for card in cards if item.startswith("GPU-") and card.uuid.startswith(item)]
    return named[0] if len(named) == 1 else None


def _mig(cards: Sequence[Gpu], item: str) -> Gpu | None:
    try:
        slice_ = pynvml.nvmlDeviceGetHandleByUUID(item)
        uuid = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice_))
    except pynvml.NVMLError:
        return None
    whole = next((card for card in cards if card.uuid == uuid), None)
    return None if whole is None else Gpu(whole.handle, slice_, whole.index, uuid, whole.name, mig=True)
