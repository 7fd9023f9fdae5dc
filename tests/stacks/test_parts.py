"""Stacks by part, as files and as pictures; the difference of two arms."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.analysis.host_time import host_times
from profiler.stacks.flame import flame_graph
from profiler.stacks.modules import by_part, part_of, waits
from profiler.stacks.run import ArmStacks, arm_folder, read_summary, write_summary
from profiler.stacks.speedscope import Frame, NotSpeedscope, read_stacks

MAIN = Frame("main", "/x/profiler/cli.py")
LIBC = "/usr/lib/libc.so.6"


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("/x/guards/scorers/rules.py", "guards"),
        ("/x/guards/check.py", "wrapper"),
        ("/s/transformers/tokenization_utils_fast.py", "tokenizer"),
        ("/s/vllm/v1/core/sched/scheduler.py", "vLLM scheduler"),
        ("/s/vllm/v1/engine/detokenizer.py", "detokenizer"),
        ("/s/vllm/v1/engine/core.py", "vLLM, the rest"),
        ("/s/torch/lib/libtorch_cpu.so", "torch"),
        ("/usr/lib/python3.11/json/decoder.py", "driver"),  # belongs to whoever called it
    ],
)
def test_the_innermost_frame_that_is_somebodys_decides(file: str, part: str) -> None:
    assert part_of((MAIN, Frame("f", file))) == part
    assert part_of((Frame("f", "/usr/lib/x.py"),)) == "other"


def test_threads_that_wait_are_left_out() -> None:
    waiting = [
        (MAIN, Frame("epoll_wait", LIBC)),
        (MAIN, Frame("Condition.wait", "/lib/threading.py"), Frame("0x7f", LIBC)),
        (MAIN, Frame("_worker", "/lib/concurrent/futures/thread.py")),
        (),
    ]
    worker = Frame("_answers", "/x/guards/scorers/worker.py")
    queue = (
        Frame("_queue_SimpleQueue_get", "/py/Modules/_queuemodule.c"),
        Frame("PyThread_acquire_lock_timed", "/py.so"),
    )
    waiting.append((MAIN, worker, *queue, Frame("0x7f3f", LIBC), Frame("0x7f3e", LIBC)))
    working = (MAIN, Frame("loads", "/lib/json/decoder.py"), Frame("0x7f", LIBC))
    assert all(waits(stack) for stack in waiting) and not waits(working)
    assert by_part({**dict.fromkeys(waiting, 10**9), working: 5}) == {"driver": 5}


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"shared": {"frames": []}, "profiles": [{"unit": "s", "samples": [[0]], "weights": [1]}]}'],
)
def test_a_file_that_is_no_speedscope_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(NotSpeedscope, match=r"x\.json"):
        read_stacks(path)
    with pytest.raises(NotSpeedscope, match="none"):
        read_stacks(tmp_path / "none.json")


def test_samples_add_up_over_threads(tmp_path: Path) -> None:
    profile = {"type": "sampled", "unit": "seconds", "samples": [[0], [0, 1], [0]], "weights": [0.5, 0.25, 0.25]}
    frames = [{"name": "a", "file": "/a.py"}, {"name": "b"}]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"shared": {"frames": frames}, "profiles": [profile, profile]}))
    a, b = Frame("a", "/a.py"), Frame("b", "")
    assert read_stacks(path) == {(a,): 1_500_000_000, (a, b): 500_000_000}


names = st.text(max_size=12)


@given(st.dictionaries(st.lists(names, min_size=1, max_size=5).map(tuple), st.integers(1, 10**9), max_size=8), names)
def test_a_flame_graph_is_xml_whatever_the_names(stacks: dict[tuple[str, ...], int], title: str) -> None:
    root = ElementTree.fromstring(flame_graph(stacks, title))
    _, *boxes = root.iter("{http://www.w3.org/2000/svg}rect")
    widths = [float(box.get("width", 0)) for box in boxes]
    assert all(0 < width <= 1200.1 for width in widths)
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def arm(name: str, seconds: dict[str, dict[str, float]], missing: dict[str, str] | None = None) -> ArmStacks:
    return ArmStacks(name, 10, seconds, missing or {}, f"00-{name}")


def test_the_difference_is_a_request_and_knows_its_chance() -> None:
    before, after = arm("none", {"driver": {"torch": 1.0}}), arm("input", {"driver": {"torch": 2.0, "guards": 0.5}})
    torch, guards = host_times(before, after, 100)
    assert (torch.part, torch.baseline_ms, torch.arm_ms, torch.difference_ms) == ("torch", 100.0, 200.0, 100.0)
    # 100 and 200 samples: 1.96 * sqrt(300) samples of 10 ms over 10 requests.
    assert torch.half_width_ms == pytest.approx(1.96 * 300**0.5)
    assert (guards.part, guards.difference_ms) == ("guards", 50.0)


def test_a_process_that_was_not_recorded_in_one_arm_has_no_difference() -> None:
    before, after = arm("none", {"a": {"torch": 1.0}}, {"b": "no right"}), arm("x", {"b": {"torch": 1.0}})
    assert {one.process for one in host_times(before, after, 100)} == {"a"}


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    arms = (arm("none", {"a": {"torch": 1.0}}), arm("x", {}, {"a": "why"}))
    assert read_summary(tmp_path) == ()
    write_summary(tmp_path, arms)
    assert read_summary(tmp_path) == arms
    assert arm_folder(tmp_path, 3, "a/../b c").name == "03-a_.._b_c"
