"""The keyword guard here: a whole guarded request through input classifier and tap, its trace included."""

import asyncio
from collections.abc import Sequence

from benchmarks.overhead_frameworks.child import Check, serve
from benchmarks.wrapper_cost import IdleEngine
from guards.generation import GenerationRequest, Message, Sampling
from guards.input_classifier import InputClassifier
from guards.scorers.rules import RulesScorer, words_rule
from guards.stack import stack
from profiler.engines.tap import Tap


def prepare(words: Sequence[str]) -> Check:
    generator = stack(Tap(IdleEngine(1)), [InputClassifier(RulesScorer((words_rule("banned", words),)))])
    loop = asyncio.new_event_loop()

    async def check(texts: Sequence[str]) -> list[bool]:
        found = []
        for text in texts:
            request = GenerationRequest("r", (Message("user", text),), Sampling())
            reasons = [delta.finish_reason async for delta in generator.generate(request)]
            found.append(reasons == ["blocked"])
        return found

    return lambda texts: loop.run_until_complete(check(texts))


serve("alignment-tax", prepare)
