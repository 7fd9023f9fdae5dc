"""Which cards are this run's, with NVML faked at its boundary."""

import pynvml
import pytest

from profiler.meters.gpus import find_gpus, order_warning
from profiler.meters.not_measured import NotMeasured
from tests.meters.fake_nvml import Clock, FakeCard, FakeNvml

FIRST, SECOND = "GPU-8932f937-0000", "GPU-77aa0011-0000"


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    return FakeNvml(monkeypatch, Clock(), FakeCard(FIRST, slices=("MIG-one", "MIG-two")), FakeCard(SECOND))


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, [0, 1]),
        ("1", [1]),
        ("1,0", [1, 0]),
        ("0, 1", [0, 1]),
        ("0,-1,1", [0]),
        ("1,5,0", [1]),
        (SECOND, [1]),
        ("GPU-77", [1]),
        ("GPU-77,GPU-8932", [1, 0]),
        ("MIG-one", [0]),
        ("MIG-one,MIG-two", [0]),
        ("MIG-one,1", [0, 1]),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(visible: str | None, found: list[int], nvml: FakeNvml) -> None:
    gpus = find_gpus({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert not isinstance(gpus, NotMeasured)
    assert [gpu.index for gpu in gpus] == found


@pytest.mark.parametrize("visible", ["", "-1", "7", "GPU-", "GPU-none", "MIG-none", "NoDevFiles"])
def test_a_list_that_names_no_card_is_no_gpu_and_says_so(visible: str, nvml: FakeNvml) -> None:
    found = find_gpus({"CUDA_VISIBLE_DEVICES": visible})
    assert found == NotMeasured(f"CUDA_VISIBLE_DEVICES={visible} shows none of 2 GPU(s)")


def test_of_a_mig_slice_only_the_memory_is_its_own(nvml: FakeNvml) -> None:
    gpus = find_gpus({"CUDA_VISIBLE_DEVICES": "MIG-two"})
    assert not isinstance(gpus, NotMeasured)
    assert gpus[0].mig
    assert gpus[0].handle is nvml.cards[0]
    assert gpus[0].memory_handle.uuid == "MIG-two"


def test_unlike_cards_by_index_may_be_counted_otherwise_by_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(monkeypatch, Clock(), FakeCard(FIRST), FakeCard(SECOND, name="Made T4"))
    gpus = find_gpus({"CUDA_VISIBLE_DEVICES": "1"})
    assert not isinstance(gpus, NotMeasured)
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in order_warning(gpus, {"CUDA_VISIBLE_DEVICES": "1"})
    assert not order_warning(gpus, {"CUDA_VISIBLE_DEVICES": SECOND})
    assert not order_warning(gpus, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})


def test_nvml_that_does_not_start_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert find_gpus({}) == NotMeasured("NVML: Driver Not Loaded")


def test_no_card_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(monkeypatch, Clock())
    assert find_gpus({}) == NotMeasured("no GPU")
