"""Which part of the system a stack belongs to: the innermost frame that is somebody's decides."""

from collections import Counter
from collections.abc import Mapping
from itertools import takewhile

from profiler.stacks.speedscope import Frame, Stack

OTHER = "other"
# In this order; the first whose mark is in the frame's file (or, for native code, its name) takes it.
_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("guards", ("/guards/scorers/", "/guards/families/", "/sentence_transformers/", "/presidio", "/llm_guard/")),
    ("wrapper", ("/guards/",)),
    ("tokenizer", ("/tokenizers/", "tokenization_", "/vllm/tokenizers/", "/vllm/renderers/", "tokenizers.abi3")),
    ("detokenizer", ("/vllm/v1/engine/detokenizer", "/vllm/v1/engine/output_processor")),
    ("vLLM scheduler", ("/vllm/v1/core/",)),
    ("torch", ("/torch/", "libtorch", "libgomp", "libiomp", "libmkl", "libcuda", "libdnnl", "/triton/")),
    ("vLLM, the rest", ("/vllm/",)),
    ("driver", ("/profiler/",)),
)
PARTS = (*(part for part, _ in _PARTS), OTHER)
# py-spy leaves idle threads out where the kernel says which are idle; in many containers it does not.
_WAITS = (
    "poll", "ppoll", "epoll_wait", "epoll_pwait", "select", "wait4", "waitid", "futex", "nanosleep", "sched_yield",
    "read", "recv", "recvfrom", "recvmsg", "accept", "sem_wait", "sem_timedwait", "sem_clockwait", "__sched_yield",
)  # fmt: skip
# The interpreter's own: of threads, queues and the GIL.
_LOCKS = ("PyThread_acquire_lock_timed", "take_gil")
_WAITING_FILES = ("/threading.py", "/concurrent/futures/thread.py", "/queue.py", "/selectors.py")


def waits(stack: Stack) -> bool:
    """Whether the thread does nothing: it is in a call that waits, or in an unnamed one of libc under a lock."""
    if not stack:
        return True
    leaf = stack[-1]
    if leaf.file.endswith(".py"):
        return leaf.file.endswith(_WAITING_FILES) or leaf.name in ("sched_yield", "Condition.wait", "Poller.poll")
    if leaf.name.removeprefix("__").partition("@")[0] in _WAITS:
        return True
    native = list(takewhile(lambda frame: not frame.file.endswith(".py"), reversed(stack)))
    caller = stack[-len(native) - 1] if len(native) < len(stack) else None
    unnamed = leaf.name.startswith("0x") and "libc" in leaf.file
    locked = any(frame.name in _LOCKS for frame in native)
    return unnamed and (locked or (caller is not None and caller.file.endswith(_WAITING_FILES)))


def part_of(stack: Stack) -> str:
    """The part of the innermost frame that belongs to one; `other` where none does."""
    for frame in reversed(stack):
        if (part := _of_frame(frame)) is not None:
            return part
    return OTHER


def _of_frame(frame: Frame) -> str | None:
    where = (frame.file or frame.name).replace("\\", "/")
    return next((part for part, marks in _PARTS if any(mark in where for mark in marks)), None)


def by_part(stacks: Mapping[Stack, int]) -> Counter[str]:
    """Nanoseconds by part, of threads that do not wait."""
    found: Counter[str] = Counter()
    for stack, ns in stacks.items():
        if not waits(stack):
            found[part_of(stack)] += ns
    return found
