"""The keyword guard in NeMo Guardrails: its own `regex check input` rail (Colang 1.0) and no model.

Of its two ways to run input rails alone, `check_async` and `generate_async` with options, the latter is the faster.
"""

import asyncio
import json
import re
from collections.abc import Sequence

from nemoguardrails import LLMRails, RailsConfig

from benchmarks.overhead_frameworks.child import Check, serve

CONFIG = """
models: []
rails:
  config:
    regex_detection:
      input:
        case_insensitive: true
        patterns: [%s]
  input:
    flows:
      - regex check input
"""
OPTIONS = {"rails": ["input"]}


def prepare(words: Sequence[str]) -> Check:
    pattern = rf"\b(?:{'|'.join(map(re.escape, words))})\b"
    rails = LLMRails(RailsConfig.from_content(yaml_content=CONFIG % json.dumps(pattern)))
    loop = asyncio.new_event_loop()

    async def check(texts: Sequence[str]) -> list[bool]:
        found = []
        for text in texts:
            answer = await rails.generate_async(messages=[{"role": "user", "content": text}], options=OPTIONS)
            # A rail that lets the text pass answers with the text itself.
            found.append(answer.response[-1]["content"] != text)
        return found

    return lambda texts: loop.run_until_complete(check(texts))


serve("nemoguardrails", prepare)
