"""The keyword guard in openai-guardrails: its own Keyword Filter, through `run_guardrails`."""

import asyncio
from collections.abc import Sequence

from guardrails import instantiate_guardrails, load_config_bundle, run_guardrails

from benchmarks.overhead_frameworks.child import Check, serve


class Context:
    """The keyword check reads nothing of it."""


def prepare(words: Sequence[str]) -> Check:
    keyword_filter = {"name": "Keyword Filter", "config": {"keywords": list(words)}}
    guardrails = instantiate_guardrails(load_config_bundle({"guardrails": [keyword_filter]}))
    loop = asyncio.new_event_loop()

    async def check(texts: Sequence[str]) -> list[bool]:
        found: list[bool] = []
        context = Context()
        for text in texts:
            results = await run_guardrails(context, text, "text/plain", guardrails, suppress_tripwire=True)
            found.append(any(result.tripwire_triggered for result in results))
        return found

    return lambda texts: loop.run_until_complete(check(texts))


serve("openai-guardrails", prepare)
