"""What every framework's process does: judge the texts when asked to, and say what that took.

Runs in the framework's own venv, so it knows the standard library only. One JSON object a line:
in    {"words": [...], "texts": [...]}, then {} for every round
out   {"verdicts": [true where blocked, ...], "version": "..."}, then {"cpu_ns": ..., "wall_ns": ...} for the round
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata

Check = Callable[[Sequence[str]], list[bool]]
WARM_UPS = 2


def serve(distribution: str, prepare: Callable[[Sequence[str]], Check]) -> None:
    """`prepare` makes the framework's keyword guard for a list of words: it says which texts are blocked."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # What the framework itself prints stays out of the answers.

    def say(message: dict[str, object]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    task = json.loads(sys.stdin.readline())
    check = prepare(task["words"])
    verdicts = [check(task["texts"]) for _ in range(WARM_UPS)][-1]
    say({"verdicts": verdicts, "version": metadata.version(distribution)})
    for _ in sys.stdin:
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        check(task["texts"])
        say({"cpu_ns": time.process_time_ns() - cpu_ns, "wall_ns": time.perf_counter_ns() - wall_ns})
