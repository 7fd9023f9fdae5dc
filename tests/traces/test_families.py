"""Device time by family from a trace; what is stored and shown of it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from profiler.report.device_time import device_time_json, print_device_time
from profiler.traces.families import NotATrace, family_of, read_trace
from profiler.traces.run import ArmTrace, read_traces, write_traces


@pytest.mark.parametrize(
    ("kernel", "family"),
    [
        ("nvjet_tst_128x64_64x8_1x2_h_bz_TNT", "GEMM"),
        ("void cutlass::device_kernel<flash::enable_sm90<flash::FlashAttnFwdSm90>>", "attention"),
        ("void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16>", "KV cache"),
        ("void vllm::fused_add_rms_norm_kernel<c10::BFloat16, 8>", "norm"),
        ("void vllm::act_and_mul_kernel<c10::BFloat16, silu>", "activation"),
        ("void vllm::rotary_embedding_kernel<c10::BFloat16, true>", "rotary"),
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", "communication"),
        ("void at::native::reduce_kernel<ArgMaxOps>", "sampling"),
        ("Memcpy HtoD (Pinned -> Device)", "memory"),
        ("aten::addmm", "GEMM"),
        ("aten::mm", "GEMM"),
        ("something else", "other"),
    ],
)
def test_kernels_have_families(kernel: str, family: str) -> None:
    assert family_of(kernel) == family


def stored(folder: Path, events: list[dict[str, Any]]) -> Path:
    path = folder / "rank0.pt.trace.json.gz"
    with gzip.open(path, "wt") as file:
        json.dump({"traceEvents": events}, file)
    return path


def op(name: str, ts: float, dur: float, thread: int = 1, cat: str = "cpu_op") -> dict[str, Any]:
    return {"cat": cat, "name": name, "ts": ts, "dur": dur, "pid": 1, "tid": thread}


def test_kernels_count_and_operators_do_not_where_there_is_a_gpu(tmp_path: Path) -> None:
    events = [op("aten::mm", 0, 100), op("nvjet", 50, 30, cat="kernel"), op("Memset", 90, 2, cat="gpu_memset"), {}]
    read = read_trace(stored(tmp_path, events))
    assert read.device == "gpu" and read.ns == {"GEMM": 30_000, "memory": 2_000}


def test_an_operator_is_charged_without_those_that_it_calls(tmp_path: Path) -> None:
    events = [
        op("aten::linear", 0, 100),
        op("aten::softmax", 10, 30),
        op("aten::copy_", 15, 5),
        op("aten::mm", 0, 7, 2),
    ]
    read = read_trace(stored(tmp_path, events))
    assert read.device == "cpu" and read.ns == {"GEMM": 77_000, "sampling": 25_000, "memory": 5_000}


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_own_times_add_up_to_the_outermost(tmp_path_factory: pytest.TempPathFactory, widths: list[int]) -> None:
    # Each operator calls the next, which is narrower.
    folder, total = tmp_path_factory.mktemp("trace"), sum(widths)
    names = ["aten::mm", "aten::copy_", "aten::softmax", "x"]
    events = [op(names[i % 4], i, total + 30 - 2 * i) for i in range(len(widths))]
    assert sum(read_trace(stored(folder, events)).ns.values()) == 1000 * (total + 30)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"traceEvents": [1]}', '{"traceEvents": [{"cat": "kernel"}]}'])
def test_a_file_that_is_no_trace_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(NotATrace, match=r"t\.json"):
        read_trace(path)
    broken = tmp_path / "t.json.gz"
    broken.write_bytes(gzip.compress(b'{"traceEvents": []}')[:-9])
    with pytest.raises(NotATrace, match=r"t\.json\.gz"):
        read_trace(broken)


def test_what_is_stored_is_shown_with_what_is_missing(tmp_path: Path) -> None:
    assert read_traces(tmp_path) == () and device_time_json(tmp_path) == []
    arms = (
        ArmTrace("none", 2, "gpu", {"GEMM": 0.2, "norm": 0.01}, "00-none"),
        ArmTrace("judge", 2, "gpu", {"GEMM": 0.5}, "01-judge"),
        ArmTrace("broken", 2, "", {}, "02-broken", "vLLM wrote no trace"),
    )
    write_traces(tmp_path, arms)
    assert read_traces(tmp_path) == arms
    console = Console(width=80, record=True)
    print_device_time(tmp_path, console)
    shown = console.export_text()
    assert "100.0" in shown and "+150" in shown and "-5" in shown
    assert "trace of broken: not measured: vLLM wrote no trace" in shown
    assert device_time_json(tmp_path)[1]["ms_per_request"] == {"GEMM": 250.0}
