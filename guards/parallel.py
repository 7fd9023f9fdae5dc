"""Several input classifiers at once: the first block wins, the others are cancelled.

|-- check a --|                       nobody blocks: the user waits for the slowest
|-- check b -------|-- generate -->
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from guards.check import Check, check, record_stages
from guards.generation import Delta, GenerationRequest, Generator
from guards.input_classifier import InputClassifier, refusal_delta
from guards.trace import Stage
from guards.verdict import Action

_Asked = tuple[InputClassifier, asyncio.Task[Check]]


@dataclass(frozen=True)
class Parallel:
    """Asks every guard at once and lets generation begin when all have allowed the prompt (blocking gating).

    Each guard's threshold and failure policy hold; the one that blocks answers with its refusal. Verdicts and
    spans are recorded under the guards' own names. Critical are the spans of the check that decided: the one that
    blocked, or the last to allow. A check that was cancelled by a block leaves no verdict; its time is `work`. A
    scorer that asks to change the prompt blocks it: of two that judge at once, neither would have seen the other's
    change.
    """

    guards: tuple[InputClassifier, ...]
    name: str = "parallel"

    async def generate(self, request: GenerationRequest, inner: Generator) -> AsyncIterator[Delta]:
        """The inner stream after all checks, or the refusal after the first block."""
        blocker = await self._decide(request)
        if blocker is not None:
            yield refusal_delta(request, blocker.refusal)
            return
        async with aclosing(inner.generate(request)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                yield delta

    async def _decide(self, request: GenerationRequest) -> InputClassifier | None:
        """The guard that blocked first; None when all have allowed."""
        trace, asked_ns = request.trace, request.trace.now_ns()
        asked = [(guard, asyncio.create_task(_check(guard, request))) for guard in self.guards]
        tasks = {task for _, task in asked}
        try:
            while True:
                done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                # Of blocks in the same turn of the loop, the guard's that is named first answers.
                finished = [one for one in asked if one[1] in done]
                blocker = next((one for one in finished if one[1].result().verdict.action is Action.BLOCK), None)
                decider = blocker or (None if waiting else finished[0])
                _record(request, finished, decider)
                if decider is not None:
                    for guard, task in asked:
                        if task in waiting:
                            trace.span(guard.name, Stage.WORK, asked_ns, trace.now_ns(), critical=False)
                    return None if blocker is None else blocker[0]
                tasks = waiting
        finally:
            for _, task in asked:
                task.cancel()
            await asyncio.gather(*(task for _, task in asked), return_exceptions=True)


async def _check(guard: InputClassifier, request: GenerationRequest) -> Check:
    found = await check(guard.scorer, request.prompt, guard.policy)
    if found.verdict.action in (Action.REWRITE, Action.REDACT):
        detail = f"a parallel guard cannot {found.verdict.action} the prompt. {found.verdict.detail}".rstrip()
        return replace(found, verdict=replace(found.verdict, action=Action.BLOCK, detail=detail[:200]))
    return found


def _record(request: GenerationRequest, finished: Sequence[_Asked], decider: _Asked | None) -> None:
    for one in finished:
        guard, found = one[0], one[1].result()
        record_stages(request.trace, guard.name, found.score, critical=one is decider)
        request.trace.judged(guard.name, found.verdict)
