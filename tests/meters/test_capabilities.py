"""What `doctor` says of the meters."""

from pathlib import Path

import pytest

from profiler.engines.vllm_memory import pool_facts
from profiler.meters.capabilities import meter_lines
from profiler.report.resources import meter_notes
from tests.meters.fake_nvml import Clock, FakeCard, FakeNvml
from tests.meters.test_rapl import zone


def test_every_card_says_how_its_energy_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    FakeNvml(monkeypatch, clock, FakeCard("GPU-a"), FakeCard("GPU-b", counter=False, instant=False))
    zone(tmp_path, "intel-rapl:0", "package-0")
    lines = meter_lines(tmp_path, clock.now_ns, clock.pause)
    said = [text for name, text in lines if name == "  energy"]
    assert said[0] == "counter, moves every 100 ms"
    assert said[1].startswith("not measured: no counter (Not Supported)")
    assert ("CPU energy", "RAPL: package-0 (whole sockets)") in lines


def test_a_machine_without_meters_says_why_in_a_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(monkeypatch, Clock())
    lines = dict(meter_lines(tmp_path))
    assert lines["GPU"] == "not measured: no GPU"
    assert lines["CPU energy"].startswith("not measured: no RAPL counter")
    assert "PSS" in lines["memory"]


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
