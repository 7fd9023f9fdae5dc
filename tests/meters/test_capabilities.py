"""What `doctor` says of the meters."""

from pathlib import Path

import pytest

from profiler.engines.vllm_memory import pool_facts
from profiler.meters.capabilities import meter_capabilities
from profiler.meters.rapl import Zone
from profiler.report.resources import meter_notes
from tests.meters.fake_nvml import Clock, FakeCard, FakeNvml
from tests.meters.test_rapl import zone


def test_every_card_says_how_its_energy_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    FakeNvml(monkeypatch, clock, FakeCard("GPU-a"), FakeCard("GPU-b", counter=False, instant=False))
    zone(tmp_path, "intel-rapl:0", "package-0")
    found = {one.name: one for one in meter_capabilities(tmp_path, clock.now_ns, clock.pause)}
    assert (found["gpu0 energy"].text, found["gpu0 energy"].able) == ("counter, moves every 100 ms", True)
    assert found["gpu1 energy"].text.startswith("not measured: no counter (Not Supported)")
    assert not found["gpu1 energy"].able and "Volta" in found["gpu1 energy"].cure
    assert found["gpu0 memory"].text == "76.0 of 80.0 GiB free"
    assert (found["CPU energy"].text, found["CPU energy"].able) == ("RAPL: package-0 (whole sockets)", True)


def test_a_machine_without_meters_says_why_in_a_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(monkeypatch, Clock())
    found = {one.name: one for one in meter_capabilities(tmp_path)}
    assert found["GPU"].text == "not measured: no GPU" and "nvidia-smi" in found["GPU"].cure
    assert found["CPU energy"].text.startswith("not measured: no RAPL counter")
    assert "PSS" in found["memory"].text


def test_a_hidden_card_and_a_counter_for_root_alone_have_their_cures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeNvml(monkeypatch, Clock(), FakeCard("GPU-a"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(Zone, "read_j", refused)
    zone(tmp_path, "intel-rapl:0", "package-0")
    found = {one.name: one for one in meter_capabilities(tmp_path)}
    assert "unset CUDA_VISIBLE_DEVICES" in found["GPU"].cure
    assert found["CPU energy"].cure.startswith("`sudo chmod a+r")
    assert "sudo" not in found["CPU energy"].text


def refused(zone: Zone) -> float:
    raise PermissionError


def test_the_kv_pool_is_as_vllm_states_it() -> None:
    class Cache:
        num_gpu_blocks, block_size, kv_cache_size_tokens = 100, 16, 1500

    assert pool_facts(Cache())["kv_pool_tokens"] == "1500"
    facts = {**pool_facts(Cache()), "kv_pool_bytes": str(2**30)}
    assert meter_notes({"facts": facts}) == ["KV pool: 1500 tokens, 100 blocks of 16; it takes 1024 MiB."]
    Cache.kv_cache_size_tokens = None  # type: ignore[assignment]
    assert pool_facts(Cache())["kv_pool_tokens"] == "1600"
    Cache.num_gpu_blocks = None  # type: ignore[assignment]
    assert pool_facts(Cache()) == {}
