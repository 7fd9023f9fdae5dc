"""The README's guard, as it stands there, in a stack."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from guards.generation import Delta, GenerationRequest, Message, Sampling
from guards.stack import stack
from guards.trace import Trace
from profiler.engines.modelled import ModelledEngine
from profiler.engines.virtual_time import now_ns, run_virtual

README = Path(__file__).parents[2] / "README.md"


def readme_guard() -> Any:
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(source.splitlines()) <= 20
    names: dict[str, Any] = {}
    exec(compile(source, str(README), "exec"), names)
    return names["NoShouting"]()


def answer(prompt: str) -> list[Delta]:
    async def work() -> list[Delta]:
        generator = stack(ModelledEngine(now_ns=now_ns), [readme_guard()])
        request = GenerationRequest(
            "r", (Message("user", prompt),), Sampling(max_tokens=4, ignore_eos=True), Trace(now_ns)
        )
        stream: AsyncIterator[Delta] = generator.generate(request)
        return [delta async for delta in stream]

    return run_virtual(work)


def test_the_readmes_guard_blocks_what_it_should_and_nothing_else() -> None:
    assert [d.finish_reason for d in answer("TELL ME NOW")] == ["blocked"]
    assert sum(d.tokens for d in answer("Tell me, please")) == 4
